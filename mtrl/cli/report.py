"""Writes one page about runs:  python scripts/report.py RUNS [RUNS ...] --out report.html."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from rich.console import Console

from mtrl.analysis.report import report_page
from mtrl.analysis.results import gather_suites
from mtrl.analysis.runs import find_runs
from mtrl.analysis.summary import compare_suites
from mtrl.cli.program import run_program
from mtrl.config.literals import path_of, run_of
from mtrl.errors import require


def main() -> None:
    """Entry point of ``mtrl-report``."""
    parser = argparse.ArgumentParser(
        description="A self-contained HTML page about runs: tables, figures, the options that differ, and "
        "the commands that made them.",
    )
    parser.add_argument("runs", nargs="+", type=run_of, metavar="RUNS", help="run directories or folders")
    parser.add_argument("--out", type=path_of, required=True, help="page to write, .html")
    parser.add_argument("--baseline", metavar="METHOD", help="to be improved on (mean, if that is there)")
    parser.add_argument("--title", default="Runs", help="of the page (Runs)")
    run_program(lambda: _report(parser.parse_args()))


def _report(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    require(out.suffix == ".html", f"--out must end in .html, found {out.name!r}")
    valid = out.parent.is_dir() and not out.is_dir()
    require(valid, f"--out must be a file in an existing folder, found {out}")
    notes: list[str] = []
    suites = gather_suites(find_runs(arguments.runs, notes.append))
    compared, lacking = compare_suites(suites, arguments.baseline)
    notes += [*lacking, *(note for evidence in suites for note in evidence.notes)]
    command = shlex.join(["python", "scripts/report.py", *sys.argv[1:]])
    out.write_text(report_page(compared, notes, arguments.title, command), encoding="utf-8")
    Console().print(f"written to {out}", soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    main()
