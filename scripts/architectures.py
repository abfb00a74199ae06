"""Prints a table of the agents and how many parameters they have:  python scripts/architectures.py."""

from mtrl.cli.architectures import main

if __name__ == "__main__":
    main()
