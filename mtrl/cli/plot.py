"""Draws figures of runs:  python scripts/plot.py RUNS [RUNS ...] --out DIR."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from mtrl.analysis.figures.gallery import draw_gallery
from mtrl.analysis.figures.style import image
from mtrl.analysis.results import gather
from mtrl.analysis.runs import find_runs
from mtrl.analysis.summary import compare_methods
from mtrl.cli.program import run_program
from mtrl.config.literals import path_of
from mtrl.errors import UsageError, require

FORMATS = ("png", "pdf", "svg")


def main() -> None:
    """Entry point of ``mtrl-plot``."""
    parser = argparse.ArgumentParser(
        description="Figures of runs from what they logged: success by method, task and step, cosines "
        "between the tasks' gradients, and the weights that the aggregator gave them.",
    )
    parser.add_argument("runs", nargs="+", type=path_of, metavar="RUNS", help="run directories or folders")
    parser.add_argument("--out", type=path_of, required=True, metavar="DIR", help="folder for the figures")
    parser.add_argument("--baseline", metavar="METHOD", help="to be improved on (mean, if that is there)")
    parser.add_argument("--format", choices=FORMATS, default="png", help="of the figures (png)")
    run_program(lambda: _plot(parser.parse_args()))


def _plot(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    require(not out.exists() or out.is_dir(), f"--out must be a folder, found the file {out}")
    evidence = gather(find_runs(arguments.runs))
    figures, missing = draw_gallery(evidence, compare_methods(evidence, arguments.baseline))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {out}: {error.strerror}") from error
    console = Console()
    for note in evidence.notes + missing:
        console.print(f"note: {note}", soft_wrap=True, highlight=False, markup=False)
    for name, figure in figures.items():
        target = out / f"{name}.{arguments.format}"
        target.write_bytes(image(figure, arguments.format))
        console.print(f"written to {target}", soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    main()
