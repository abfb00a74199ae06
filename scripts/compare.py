"""Compares runs with what papers report:  python scripts/compare.py RUNS [RUNS ...]."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder, whose toy.py or benchmark.py would hide a user's own

from mtrl.cli.compare import main

if __name__ == "__main__":
    main()
