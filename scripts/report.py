"""Writes one page about runs:  python scripts/report.py RUNS [RUNS ...] --out report.html."""

from mtrl.cli.report import main

if __name__ == "__main__":
    main()
