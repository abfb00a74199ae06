"""Lists the runs below folders, and what became of each:  python scripts/runs.py [RUNS ...]."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from rich.console import Console

from mtrl.analysis.formats import comma_separated, markdown
from mtrl.analysis.listing import Listed, list_runs, listing_records, listing_rows, listing_table
from mtrl.analysis.runs import look_at
from mtrl.analysis.terminal import print_table, print_text
from mtrl.cli.program import run_program
from mtrl.config.literals import run_of

FORMATS = ("text", "markdown", "json", "csv")


def main() -> None:
    """Entry point of ``mtrl-runs``."""
    parser = argparse.ArgumentParser(
        description="What runs are there: method, seed, step, state (finished, running, stopped or damaged) "
        "and the success of the last evaluation. Nothing is loaded or changed.",
    )
    parser.add_argument(
        "runs", nargs="*", type=run_of, metavar="RUNS", help="run directories or folders above (runs)"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="of what is printed (text)")
    run_program(partial(_list, parser.parse_args()))


def _list(arguments: argparse.Namespace) -> None:
    folders: list[Path] = arguments.runs or [Path("runs")]
    found = look_at(folders)
    listed = list_runs(found)
    notes = [f"{other.path} is left out: {other.reason}" for other in found.left_out if not other.damaged]
    notes += [f"{one.run} is {one.state}: {one.reason}" for one in listed if one.reason is not None]
    _print(listed, folders[0] if len(folders) == 1 else None, arguments.format)
    errors = Console(stderr=True)
    for note in notes:
        print_text(errors, f"note: {note}")


def _print(listed: list[Listed], below: Path | None, kind: str) -> None:
    if kind == "json":
        print(json.dumps(listing_records(listed), indent=2))
    elif kind == "csv":
        print(comma_separated(listing_rows(listed)), end="")
    elif kind == "markdown":
        print(markdown([listing_table(listed, below)]))
    else:
        print_table(Console(), listing_table(listed, below))


if __name__ == "__main__":
    main()
