"""Prints the success of runs, by task, seed and method:  python scripts/evaluate.py RUNS [RUNS ...]."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder, whose toy.py or benchmark.py would hide a user's own

from mtrl.cli.evaluate import main

if __name__ == "__main__":
    main()
