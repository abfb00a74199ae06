"""Compares runs with what papers report:  python scripts/compare.py RUNS [RUNS ...]."""

from __future__ import annotations

import argparse
import json
import textwrap

from rich.console import Console

from mtrl.analysis.beside_published import comparison_table, records_of, remarks_on
from mtrl.analysis.formats import latex, markdown, terminal
from mtrl.analysis.results import gather
from mtrl.analysis.runs import find_runs
from mtrl.cli.program import run_program
from mtrl.config.literals import path_of

FORMATS = ("text", "markdown", "json", "latex")


def main() -> None:
    """Entry point of ``mtrl-compare``."""
    parser = argparse.ArgumentParser(
        description="Measured success beside the figures of configs/published.yaml, with the seeds, steps, "
        "episodes and every option and rule of the protocol that differ.",
    )
    parser.add_argument("runs", nargs="+", type=path_of, metavar="RUNS", help="run directories or folders")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of what is printed (text)")
    run_program(lambda: _compare(parser.parse_args()))


def _compare(arguments: argparse.Namespace) -> None:
    evidence = gather(find_runs(arguments.runs))
    records = records_of(evidence)
    if arguments.format == "json":
        print(json.dumps({"comparisons": records, "notes": evidence.notes}, indent=2))
        return
    table = comparison_table(evidence, records)
    remarks = [f"note: {note}" for note in evidence.notes] + remarks_on(records)
    if arguments.format == "text":
        console = Console()
        console.print(terminal(table))
        for remark in remarks:
            console.print(
                textwrap.fill(remark, console.width, subsequent_indent="  "), highlight=False, markup=False
            )
    else:
        print({"markdown": markdown, "latex": latex}[arguments.format]([table]))
        prefix = "- " if arguments.format == "markdown" else "% "
        print("\n".join(prefix + remark for remark in remarks))


if __name__ == "__main__":
    main()
