"""Prints a table of the gradient aggregators and when to use each:  python scripts/aggregators.py."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder, whose toy.py or benchmark.py would hide a user's own

from mtrl.cli.aggregators import main

if __name__ == "__main__":
    main()
