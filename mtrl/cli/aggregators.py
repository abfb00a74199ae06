"""Prints a table of the gradient aggregators and when to use each:  python scripts/aggregators.py."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from mtrl.analysis.terminal import NARROW, print_entries
from mtrl.cli.program import run_program
from mtrl.config.method_facts import describe
from mtrl.config.registry import method_names, method_summary

LAST = "what it is, and when to use it"


def main() -> None:
    """Entry point of ``mtrl-aggregators``."""
    parser = argparse.ArgumentParser(description="A table of every method of configs/aggregator.")
    parser.parse_args()
    run_program(_print)


def _print() -> None:
    # A pipe has no width of its own: 80 columns would fold every cell.
    console = Console(width=None if sys.stdout.isatty() else 160)
    entries = [
        (entry, f"{method_summary(entry.name).split(' (')[0]}. Use it {entry.use}.")
        for entry in map(describe, method_names())
    ]
    title = "methods, chosen by aggregator=NAME"
    if console.width < NARROW:
        facts = [f"Needs {e.needs}; state: {e.state}; {e.paper}, {e.places}" for e, _ in entries]
        rows = [(entry.name, use, fact) for (entry, use), fact in zip(entries, facts, strict=True)]
        print_entries(console, title, rows)
        return
    table = Table(title=title, show_lines=True, expand=True)
    table.add_column("name", no_wrap=True)
    for column, ratio in (("needs", 2), ("state", 3), ("paper", 4), ("where in it", 3), (LAST, 8)):
        table.add_column(column, ratio=ratio)
    for entry, use in entries:
        table.add_row(entry.name, entry.needs, entry.state, entry.paper, entry.places, use)
    console.print(table)


if __name__ == "__main__":
    main()
