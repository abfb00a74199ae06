"""Draws figures of runs:  python scripts/plot.py RUNS [RUNS ...] --out DIR."""

from mtrl.cli.plot import main

if __name__ == "__main__":
    main()
