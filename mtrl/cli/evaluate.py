"""Prints the success of runs, by task, seed and method:  python scripts/evaluate.py RUNS [RUNS ...]."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from rich.console import Console

from mtrl.analysis.documents import evaluation_text
from mtrl.analysis.formats import terminal
from mtrl.analysis.measure import measure_runs
from mtrl.analysis.results import gather
from mtrl.analysis.runs import find_runs
from mtrl.analysis.summary import compare_methods
from mtrl.analysis.tables import seed_tables, summary_table
from mtrl.cli.program import find_modules_here, run_program
from mtrl.errors import require

FORMATS = ("text", "markdown", "json", "csv", "latex")


def main() -> None:
    """Entry point of ``mtrl-evaluate``."""
    parser = argparse.ArgumentParser(
        description="Success of runs, by task, seed and method. Runs that differ only in their seed are one "
        "method. The final evaluation that each run logged counts; of an unfinished run the last checkpoint "
        "is evaluated.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUNS", help="run directories or folders above")
    parser.add_argument("--baseline", metavar="METHOD", help="to be improved on (mean, where that is there)")
    parser.add_argument(
        "--episodes",
        type=int,
        help="evaluate the last checkpoints anew with so many episodes per task, every goal at most once",
    )
    parser.add_argument("--device", default="auto", help="of the agents: auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of what is written (text)")
    parser.add_argument("--out", type=Path, help="file to write to (the terminal)")
    arguments = parser.parse_args()
    run_program(partial(_evaluate_runs, arguments))


def _evaluate_runs(arguments: argparse.Namespace) -> None:
    out: Path | None = arguments.out
    valid = out is None or (out.parent.is_dir() and not out.is_dir())
    require(valid, f"--out must be a file in an existing folder, found {out}")
    runs = find_runs(arguments.runs)
    find_modules_here(*(run.path for run in runs))
    evidence = gather(runs, measure_runs(runs, arguments.episodes, arguments.device))
    comparison = compare_methods(evidence, arguments.baseline)
    notes = Console(stderr=True)
    for note in evidence.notes:
        notes.print(f"note: {note}", soft_wrap=True, highlight=False, markup=False)
    if arguments.format == "text" and out is None:
        for table in (summary_table(evidence, comparison), *seed_tables(evidence)):
            Console().print(terminal(table))
        return
    text = evaluation_text(evidence, comparison, arguments.format)
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")
        print(f"written to {out}")


if __name__ == "__main__":
    main()
