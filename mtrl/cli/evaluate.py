"""Prints the success of runs, by task, seed and method:  python scripts/evaluate.py RUNS [RUNS ...]."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from mtrl.analysis.curves import curve_table
from mtrl.analysis.documents import Suites, evaluation_text, joined, of_suite
from mtrl.analysis.formats import comma_separated
from mtrl.analysis.measure import measure_runs
from mtrl.analysis.results import gather_suites
from mtrl.analysis.runs import find_runs
from mtrl.analysis.summary import compare_suites
from mtrl.analysis.tables import seed_tables, summary_table, threshold_table
from mtrl.analysis.terminal import print_table
from mtrl.cli.program import find_modules_here, run_program
from mtrl.config.literals import path_of, run_of
from mtrl.errors import require

FORMATS = ("text", "markdown", "json", "csv", "latex")
PRINTED = "-"


def main() -> None:
    """Entry point of ``mtrl-evaluate``."""
    parser = argparse.ArgumentParser(
        description="Success of runs, by task, seed and method, a table for each suite. Runs that differ "
        "only in their seed are one method. The final evaluation that each run logged counts; of an "
        "unfinished run the last checkpoint is evaluated.",
    )
    parser.add_argument(
        "runs", nargs="+", type=run_of, metavar="RUNS", help="run directories or folders above"
    )
    parser.add_argument("--baseline", metavar="METHOD", help="to be improved on (mean, where that is there)")
    parser.add_argument(
        "--episodes",
        type=int,
        help="evaluate the last checkpoints anew with so many episodes per task, every goal at most once",
    )
    parser.add_argument(
        "--horizon",
        type=int,
        help="evaluate the last checkpoints anew, in episodes of so many steps (500 in Meta-World's own)",
    )
    parser.add_argument(
        "--worst", type=int, metavar="K", help="tasks that count as a seed's worst (a fifth of them)"
    )
    parser.add_argument(
        "--curves",
        nargs="?",
        const=PRINTED,
        metavar="FILE",
        help="write the learning curves as CSV, to FILE, or without one in place of the tables",
    )
    parser.add_argument("--device", default="auto", help="of the agents: auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument(
        "--network", metavar="MODULE.CLASS", help="of a network that the configuration cannot name"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="of what is written (text)")
    parser.add_argument("--out", type=path_of, help="file to write to (the terminal)")
    run_program(lambda: _evaluate_runs(parser.parse_args()))


def _evaluate_runs(arguments: argparse.Namespace) -> None:
    out: Path | None = arguments.out
    curves = None if arguments.curves in (None, PRINTED) else path_of(arguments.curves)
    for name, path in (("--out", out), ("--curves", curves)):
        valid = path is None or (path.parent.is_dir() and not path.is_dir())
        require(valid, f"{name} must be a file in an existing folder, found {path}")
    notes = Console(stderr=True)

    def say(text: str) -> None:
        notes.print(text, soft_wrap=True, highlight=False, markup=False)

    left_out: list[str] = []
    runs = find_runs(arguments.runs, left_out.append)
    find_modules_here(*(run.path for run in runs))
    measured = measure_runs(
        runs, arguments.episodes, arguments.device, arguments.network, say, arguments.horizon
    )
    suites = gather_suites(measured.runs, measured.entries)
    compared, lacking = compare_suites(suites, arguments.baseline, arguments.worst)
    told = [*left_out, *measured.notes, *lacking, *(note for one in suites for note in one.notes)]
    for note in dict.fromkeys(told):
        say(f"note: {note}")
    listed = comma_separated(joined([curve_table(evidence) for evidence in suites]))
    if curves is not None:
        _write(curves, listed)
    if arguments.curves == PRINTED:
        _write(out, listed)
    elif arguments.format == "text" and out is None:
        _print_tables(compared)
    else:
        _write(out, evaluation_text(compared, told, arguments.format))


def _print_tables(compared: Suites) -> None:
    console = Console()
    for evidence, comparison in compared:
        tables = [summary_table(evidence, comparison), threshold_table(comparison), *seed_tables(evidence)]
        for table in of_suite(tables, evidence, len(compared)):
            print_table(console, table)


def _write(path: Path | None, text: str) -> None:
    if path is None:
        print(text, end="")
        return
    path.write_text(text, encoding="utf-8")
    print(f"written to {path}", file=sys.stdout)


if __name__ == "__main__":
    main()
