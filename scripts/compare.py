"""Compares runs with what papers report:  python scripts/compare.py RUNS [RUNS ...]."""

from mtrl.cli.compare import main

if __name__ == "__main__":
    main()
