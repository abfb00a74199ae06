"""Draws figures of runs:  python scripts/plot.py RUNS [RUNS ...] --out DIR."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder, whose toy.py or benchmark.py would hide a user's own

from mtrl.cli.plot import main

if __name__ == "__main__":
    main()
