"""Draws figures of runs:  python scripts/plot.py RUNS [RUNS ...] --out DIR."""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console

from mtrl.analysis.figures.gallery import draw_gallery
from mtrl.analysis.figures.listed_curves import draw_listed_curves
from mtrl.analysis.figures.style import image
from mtrl.analysis.results import gather_suites
from mtrl.analysis.runs import find_runs
from mtrl.analysis.summary import compare_suites
from mtrl.cli.program import run_program
from mtrl.config.literals import path_of, run_of
from mtrl.errors import UsageError, require

FORMATS = ("png", "pdf", "svg")


def main() -> None:
    """Entry point of ``mtrl-plot``."""
    parser = argparse.ArgumentParser(
        description="Figures of runs from what they logged: success by method, task and step, cosines "
        "between the tasks' gradients, and the weights that the aggregator gave them. Of several suites each "
        "has a folder of its own. Of files that evaluate.py --curves wrote: success over steps and over "
        "time, every seed.",
    )
    parser.add_argument(
        "runs", nargs="+", type=run_of, metavar="RUNS", help="run directories, folders, or curves.csv"
    )
    parser.add_argument("--out", type=path_of, required=True, metavar="DIR", help="folder for the figures")
    parser.add_argument("--baseline", metavar="METHOD", help="to be improved on (mean, if that is there)")
    parser.add_argument("--format", choices=FORMATS, default="png", help="of the figures (png)")
    run_program(lambda: _plot(parser.parse_args()))


def _plot(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    require(not out.exists() or out.is_dir(), f"--out must be a folder, found the file {out}")
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if all(path.suffix == ".csv" for path in arguments.runs):
        figure = draw_listed_curves(arguments.runs)
        _make(out)
        _write({"curves": figure}, out, arguments.format, console)
        return
    notes: list[str] = []
    suites = gather_suites(find_runs(arguments.runs, notes.append))
    compared, lacking = compare_suites(suites, arguments.baseline)
    for note in [*notes, *lacking, *(note for one in suites for note in one.notes)]:
        console.print(f"note: {note}")
    for evidence, comparison in compared:
        folder = out if len(suites) == 1 else out / evidence.suite
        figures, missing = draw_gallery(evidence, comparison)
        _make(folder)
        for note in missing:
            console.print(f"note: {note}")
        _write(figures, folder, arguments.format, console)


def _write(figures: dict[str, Figure], folder: Path, kind: str, console: Console) -> None:
    for name, figure in figures.items():
        target = folder / f"{name}.{kind}"
        target.write_bytes(image(figure, kind))
        console.print(f"written to {target}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error


if __name__ == "__main__":
    main()
