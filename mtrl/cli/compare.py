"""Compares runs with what papers report:  python scripts/compare.py RUNS [RUNS ...]."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from mtrl.analysis.beside_published import comparison_table, records_of, remarks_on
from mtrl.analysis.documents import of_suite
from mtrl.analysis.formats import latex, markdown
from mtrl.analysis.reached import caveats, reached_records, reached_table
from mtrl.analysis.results import gather_suites
from mtrl.analysis.runs import find_runs
from mtrl.analysis.terminal import print_table, print_text
from mtrl.cli.program import run_program
from mtrl.config.literals import run_of

FORMATS = ("text", "markdown", "json", "latex")


def main() -> None:
    """Entry point of ``mtrl-compare``."""
    parser = argparse.ArgumentParser(
        description="Measured success beside the figures of configs/published.yaml: those of the same "
        "method, with the seeds, steps, episodes and every option and rule of the protocol that differ, and "
        "those of others on the suite. evaluate.py --horizon 500 before adds its figure.",
    )
    parser.add_argument("runs", nargs="+", type=run_of, metavar="RUNS", help="run directories or folders")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of what is printed (text)")
    run_program(lambda: _compare(parser.parse_args()))


def _compare(arguments: argparse.Namespace) -> None:
    notes: list[str] = []
    suites = gather_suites(find_runs(arguments.runs, notes.append))
    records = [records_of(evidence) for evidence in suites]
    reached = [reached_records(evidence) for evidence in suites]
    together = [record for own in records for record in own]
    notes += [note for evidence in suites for note in evidence.notes]
    if arguments.format == "json":
        beside = [record for rows in reached for record in rows]
        print(json.dumps({"comparisons": together, "reached": beside, "notes": notes}, indent=2))
        return
    tables, remarks = [], [f"note: {note}" for note in notes]
    for evidence, own, rows in zip(suites, records, reached, strict=True):
        both = [comparison_table(evidence, own), *([reached_table(rows)] if rows else [])]
        tables += of_suite(both, evidence, len(suites))
        of = f"{evidence.suite}, " if len(suites) > 1 else ""
        remarks += [of + remark for remark in [*remarks_on(own), *caveats(rows)]]
    if arguments.format == "text":
        console = Console()
        for table in tables:
            print_table(console, table)
        for remark in remarks:
            print_text(console, remark)
    else:
        print({"markdown": markdown, "latex": latex}[arguments.format](tables))
        prefix = "- " if arguments.format == "markdown" else "% "
        print("\n".join(prefix + remark for remark in remarks))


if __name__ == "__main__":
    main()
