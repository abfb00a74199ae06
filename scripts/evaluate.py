"""Prints the success of runs, by task, seed and method:  python scripts/evaluate.py RUNS [RUNS ...]."""

from mtrl.cli.evaluate import main

if __name__ == "__main__":
    main()
