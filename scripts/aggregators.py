"""Prints a table of the gradient aggregators and when to use each:  python scripts/aggregators.py."""

from mtrl.cli.aggregators import main

if __name__ == "__main__":
    main()
