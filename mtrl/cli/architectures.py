"""Prints a table of the agents and how many parameters they have:  python scripts/architectures.py."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from rich.console import Console
from rich.table import Table

from mtrl.analysis.parameters import HEADER, markdown_table, parameter_cells
from mtrl.analysis.terminal import NARROW, print_entries
from mtrl.cli.program import run_program
from mtrl.config.registry import agent_names, agent_summary


def main() -> None:
    """Entry point of ``mtrl-architectures``."""
    parser = argparse.ArgumentParser(description="A table of every agent of configs/agent.")
    parser.add_argument("--markdown", action="store_true", help="as in docs/agents.md")
    arguments = parser.parse_args()
    run_program(partial(_print, arguments.markdown))


def _print(as_markdown: bool) -> None:
    if as_markdown:
        print(markdown_table())
        return
    # A pipe has no width of its own: 80 columns would fold every cell.
    console = Console(width=None if sys.stdout.isatty() else 160)
    title = "agents, chosen by agent=NAME; parameters: shared + tasks x own"
    if console.width < NARROW:
        cells = {name: zip(HEADER[1:], parameter_cells(name), strict=True) for name in agent_names()}
        counts = {
            name: "; ".join(f"{column} {count}" for column, count in pairs) for name, pairs in cells.items()
        }
        print_entries(console, title, [(name, agent_summary(name), counts[name]) for name in agent_names()])
        return
    table = Table(title=title, show_lines=True)
    table.add_column(HEADER[0], no_wrap=True)
    for column in HEADER[1:]:
        table.add_column(column, justify="right")
    table.add_column("what it is")
    for name in agent_names():
        table.add_row(name, *parameter_cells(name), agent_summary(name))
    console.print(table)


if __name__ == "__main__":
    main()
