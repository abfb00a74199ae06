"""Draws success over steps and over time, every seed, from the CSV files that evaluate.py --curves writes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from mtrl.analysis.figures.learning_curves import STEPS_LABEL, SUCCESS_LABEL
from mtrl.analysis.figures.style import method_style, new_figure, plain_text, tidy
from mtrl.analysis.statistics import Scores
from mtrl.errors import UsageError, require

Curves = dict[str, dict[str, Scores]]  # by method and seed: steps, minutes of training, success; [E, 3]
Point = tuple[float, float, float]


def draw_listed_curves(paths: Sequence[Path]) -> Figure:
    """Draw mean success over all tasks: thin lines for the seeds, a thick one for their mean.

    Raises:
        UsageError: for a file that is no list of curves.
    """
    curves = _read(paths)
    caption = (
        "Mean success over the tasks at each evaluation. Thin lines: all seeds; thick lines: their mean, at "
        "the steps that all of them evaluated. Time is that of training on the runs' machine, without "
        "evaluations."
    )
    with plain_text():
        figure = new_figure(7.4, 2.8, "Success during training", caption, list(curves))
        panels = figure.subplots(1, 2, sharey=True)
        for index, seeds in enumerate(curves.values()):
            style = method_style(index) | {"marker": "None"}
            mean = _mean(seeds)
            for axis, panel in enumerate(panels):
                for points in seeds.values():
                    panel.plot(points[:, axis], points[:, 2], **style, linewidth=0.8, alpha=0.6)
                panel.plot(mean[:, axis], mean[:, 2], **style, linewidth=2)
        panels[0].set(xlabel=STEPS_LABEL, ylabel=SUCCESS_LABEL, ylim=(-0.03, 1.03), xlim=(0, None))
        panels[0].xaxis.set_major_formatter(EngFormatter(sep=""))
        panels[1].set(xlabel="minutes of training", xlim=(0, None))
        for panel in panels:
            tidy(panel)
    return figure


def _read(paths: Sequence[Path]) -> Curves:
    """Every method of every file; its name has the file's where there are several."""
    points: dict[str, dict[str, dict[float, Point]]] = {}
    for path in paths:
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = [(row["method"], row["seed"], _point(row)) for row in csv.DictReader(file)]
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise UsageError(
                f"{path} must be a list of curves as evaluate.py --curves writes it "
                f"({type(error).__name__}: {error})"
            ) from error
        require(len(rows) > 0, f"{path} has no curve: it ends after its first line")
        several = len({method for method, *_ in rows}) > 1
        for method, seed, point in rows:
            label = method if len(paths) == 1 else f"{path.stem}: {method}" if several else path.stem
            points.setdefault(label, {}).setdefault(seed, {})[point[0]] = point
    return {
        label: {seed: np.array([steps[step] for step in sorted(steps)]) for seed, steps in seeds.items()}
        for label, seeds in points.items()
    }


def _point(row: dict[str, str]) -> Point:
    seconds = float(row["seconds"] or "nan")  # a run without a clock
    return float(row["step"]), seconds / 60, float(row["mean_success"])


def _mean(seeds: dict[str, Scores]) -> Scores:
    """At the steps that all seeds have, [E, 3]."""
    common = set.intersection(*({float(step) for step in one[:, 0]} for one in seeds.values()))
    shared = [one[np.isin(one[:, 0], sorted(common))] for one in seeds.values()]
    return np.mean(shared, axis=0)
