"""Prints a table of the agents and how many parameters they have:  python scripts/architectures.py."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from rich.console import Console
from rich.table import Table

from mtrl.analysis.parameters import HEADER, markdown_table, parameter_cells
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
    table = Table(title="agents, chosen by agent=NAME; parameters: shared + tasks x own", show_lines=True)
    table.add_column(HEADER[0], no_wrap=True)
    for column in HEADER[1:]:
        table.add_column(column, justify="right")
    table.add_column("what it is")
    for name in agent_names():
        table.add_row(name, *parameter_cells(name), agent_summary(name))
    # A pipe has no width of its own: 80 columns would fold every cell.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    main()
