"""Writes one page about runs:  python scripts/report.py RUNS [RUNS ...] --out report.html."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder, whose toy.py or benchmark.py would hide a user's own

from mtrl.cli.report import main

if __name__ == "__main__":
    main()
