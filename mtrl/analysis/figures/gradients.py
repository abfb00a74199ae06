"""Draws the cosines and the weights of the tasks' gradients over the course of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from mtrl.analysis.figures.style import NORMAL, SMALL, broken, label_outer, new_figure
from mtrl.analysis.results import Evidence, Result
from mtrl.analysis.statistics import Scores

Part = Literal["actor", "critic"]
PARTS: tuple[Part, ...] = ("actor", "critic")
QUARTERS = 4
MAX_NAMED_TASKS = 12  # tasks whose names fit beside a cosine matrix
MAX_COLUMNS = 4
MAX_SPREAD = 2.0  # of K times a weight around 1 that the colours show


def draw_cosines(evidence: Evidence, part: Part) -> Figure | None:
    """Draw cosines, task by task, in each quarter of training; None where no run logged any."""
    found = [(result, quarters) for result in evidence.results if (quarters := _quarters(result, part))]
    if not found:
        return None
    tasks = evidence.tasks
    matrices = [matrix for _, quarters in found for matrix in quarters.values()]
    largest = max(float(np.nanmax(np.abs(matrix), initial=0.0)) for matrix in matrices)
    norm = CenteredNorm(0, max(0.1, math.ceil(10 * largest) / 10))
    caption = (
        f"Cosine between the {part} gradients of two tasks, in the four quarters of training (environment "
        "steps per task); below zero the tasks conflict. Mean over the measurements of a quarter and over "
        f"{evidence.seeds}. Tasks in the suite's order; the diagonal is grey. No intervals."
    )
    side = 1.55 if len(tasks) <= MAX_NAMED_TASKS else 2.1
    names = (
        0.043 * max(map(len, tasks)) if len(tasks) <= MAX_NAMED_TASKS else 0
    )  # inches below the lowest panels
    size = side * QUARTERS + 2.0, (side + 0.25) * len(found) + 0.2 + names
    figure = new_figure(*size, f"Conflict between tasks: cosines of {part} gradients", caption)
    panels = figure.subplots(len(found), QUARTERS, squeeze=False, sharex=True, sharey=True)
    for row, (result, quarters) in zip(panels, found, strict=True):
        for panel in row[len(quarters) :]:
            panel.axis("off")
        for panel, (span, matrix) in zip(row, quarters.items(), strict=False):
            picture = panel.imshow(matrix, cmap="PuOr", norm=norm, interpolation="nearest")
            panel.set_facecolor("#bbbbbb")
            panel.set_title(span, fontsize=SMALL)
            _name_tasks(panel, tasks)
        row[0].set_ylabel(f"{broken(result.label)}\ntask", fontsize=NORMAL)
    for panel in panels[-1]:
        panel.set_xlabel("task", fontsize=NORMAL)
    # Squares at the top of their cells: what they leave free goes to the names below.
    bar = figure.colorbar(picture, ax=panels, fraction=0.025, pad=0.01, panchor=(0.5, 1.0))
    bar.set_label("cosine", fontsize=NORMAL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def _name_tasks(panel: Axes, tasks: Sequence[str]) -> None:
    if len(tasks) <= MAX_NAMED_TASKS:
        panel.set_xticks(range(len(tasks)), tasks, rotation=90, fontsize=6)
        panel.set_yticks(range(len(tasks)), tasks, fontsize=6)
    else:
        panel.tick_params(labelsize=6)


def _quarters(result: Result, part: Part) -> dict[str, Scores]:
    """Mean matrices [K, K] by span of steps, an empty diagonal; none for a quarter without any."""
    name, num = f"{part}/cosine", len(result.tasks)
    pairs = num * (num - 1) // 2
    entries = [entry for run in result.runs for entry in run.metrics if len(entry.get(name, ())) == pairs]
    if not entries or num < 2:
        return {}
    last = max(entry["step"] for entry in entries)
    above = np.triu_indices(num, 1)
    quarters = {}
    for quarter in range(QUARTERS):
        low, high = quarter * last // QUARTERS, (quarter + 1) * last // QUARTERS
        inside = [entry[name] for entry in entries if low < entry["step"] <= high]
        if inside:
            matrix = np.full((num, num), np.nan)
            matrix[above] = np.mean(np.array(inside, dtype=float), axis=0)
            matrix.T[above] = matrix[above]
            quarters[f"{low:,} to {high:,}"] = matrix
    return quarters


def draw_weights(evidence: Evidence, part: Part) -> Figure | None:
    """Draw weights by task and step, a panel for each method; None where no run logged any."""
    found = [(result, *grid) for result in evidence.results if (grid := _weights(result, part))]
    if not found:
        return None
    tasks = evidence.tasks
    spread = max(float(np.nanmax(np.abs(weights - 1), initial=0.0)) for _, _, weights in found)
    cut = spread > MAX_SPREAD
    norm = CenteredNorm(1, MAX_SPREAD if cut else max(spread, 0.1))
    caption = (
        f"K times the weight of each task's {part} gradient, or of its moving average, in the direction: 1 "
        "is the weight in the mean, above 1 a task counts for more. Mean over the updates of a log interval "
        f"and over {evidence.seeds}; grey where no update was made. Methods without weights are not shown. "
        + (f"Scale cut at 1 ± {MAX_SPREAD:g}. " if cut else "")
        + "No intervals."
    )
    columns = min(MAX_COLUMNS, len(found))
    rows = -(-len(found) // columns)
    size = max(1.75 * columns + 1.9, 4.5), (max(1.1, 0.13 * len(tasks)) + 0.25) * rows + 0.5
    figure = new_figure(*size, f"Weights of the tasks' {part} gradients", caption)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel, (result, steps, weights) in zip(panels.flat, found, strict=False):
        start = max(0, 2 * steps[0] - steps[1]) if len(steps) > 1 else 0
        edges = [start, *steps]  # an entry of the log covers the interval that it ends
        boundaries = np.arange(len(tasks) + 1) - 0.5
        picture = panel.pcolormesh(edges, boundaries, weights.T, cmap="PuOr", norm=norm, rasterized=True)
        panel.set(xlim=(0, steps[-1]), ylim=(len(tasks) - 0.5, -0.5))
        panel.set_facecolor("#bbbbbb")
        panel.set_title(broken(result.label), fontsize=NORMAL)
        panel.set_yticks(range(len(tasks)), tasks, fontsize=6)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.locator_params(axis="x", nbins=4)
        panel.tick_params(axis="x", labelsize=SMALL)
    label_outer(panels, len(found), "environment steps per task", "task")
    bar = figure.colorbar(picture, ax=panels, fraction=0.025, pad=0.01, extend="both" if cut else "neither")
    bar.set_label("K × weight", fontsize=NORMAL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def _weights(result: Result, part: Part) -> tuple[list[int], Scores] | None:
    """Steps [T] and K times the weights [T, K], means over the seeds that logged a step; NaN for none."""
    by_step: dict[int, list[list[float]]] = {}
    for run in result.runs:
        for entry in run.metrics:
            for kind in ("weight", "tracked_weight"):
                found = [entry.get(f"{part}/{kind}/{task}", math.nan) for task in result.tasks]
                if not all(map(math.isnan, found)):
                    by_step.setdefault(entry["step"], []).append(found)
    if not by_step:
        return None
    steps = sorted(by_step)
    weights = np.array([np.mean(by_step[step], axis=0) for step in steps])
    return steps, len(result.tasks) * weights
