"""Draws success over the course of training: all tasks together, and each task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from mtrl.analysis.figures.style import SMALL, label_outer, method_style, new_figure, tidy
from mtrl.analysis.results import Evidence
from mtrl.analysis.statistics import Interval, Scores, bootstrap_interval, interquartile_mean
from mtrl.analysis.summary import BOOTSTRAP_SEED

MAX_POINTS = 60  # of a curve that get an interval; more cannot be told apart
MAX_BANDED_METHODS = 4  # in a small panel
RESAMPLES = 1000
COLUMNS = 5
STEPS_LABEL = "environment steps per task"
SUCCESS_LABEL = "success rate"


def draw_learning_curves(evidence: Evidence) -> Figure:
    """Draw the IQM over seeds and tasks at each evaluation, with intervals."""
    caption = (
        "Interquartile mean of success over seeds and tasks; bands: 95 % stratified bootstrap intervals over "
        f"seeds ({RESAMPLES:,} resamples), none for a single seed. {_curves_caption(evidence)}"
    )
    labels = [result.label for result in evidence.results]
    figure = new_figure(6.6, 3.4, "Success during training", caption, labels)
    panel = figure.subplots()
    for index, result in enumerate(evidence.results):
        curve = _thin(result.curve())
        intervals = [_interval(scores) for scores in curve.values()]
        style = method_style(index)
        _band(panel, list(curve), intervals, style["color"])
        panel.plot(list(curve), [found.estimate for found in intervals], linewidth=1.8, markersize=4, **style)
    panel.set(xlabel=STEPS_LABEL, ylabel=f"{SUCCESS_LABEL} (IQM)", ylim=(-0.03, 1.03))
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    tidy(panel)
    return figure


def draw_task_curves(evidence: Evidence) -> Figure:
    """Draw a panel for each task: means over the seeds, with their range."""
    banded = len(evidence.results) <= MAX_BANDED_METHODS
    band = "bands: from the worst to the best seed" if banded else "no intervals, for so many methods"
    caption = f"Success on each task, mean over the seeds; {band}. {_curves_caption(evidence)}"
    tasks = evidence.tasks
    columns = min(COLUMNS, len(tasks))
    rows = -(-len(tasks) // columns)
    labels = [result.label for result in evidence.results]
    size = max(1.7 * columns, 4.5), 1.45 * rows + 0.3
    figure = new_figure(*size, "Success on each task during training", caption, labels)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    curves = [_thin(result.curve()) for result in evidence.results]
    for panel, (place, task) in zip(panels.flat, enumerate(tasks), strict=False):
        for index, curve in enumerate(curves):
            style = method_style(index) | {"markersize": 3}
            steps = list(curve)
            values = [scores[:, place] for scores in curve.values()]
            if banded:
                low, high = [value.min() for value in values], [value.max() for value in values]
                panel.fill_between(steps, low, high, color=style["color"], alpha=0.18, linewidth=0)
            panel.plot(steps, [value.mean() for value in values], linewidth=1.4, **style)
        panel.set_title(task, fontsize=SMALL)
        panel.set_ylim(-0.05, 1.05)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panel.locator_params(axis="x", nbins=3)
        tidy(panel)
    label_outer(panels, len(tasks), "steps per task", SUCCESS_LABEL)
    return figure


def _curves_caption(evidence: Evidence) -> str:
    along = sorted(
        {
            entry["episodes_per_task"]
            for result in evidence.results
            for run in result.runs
            for entry in run.evaluations
        }
    )
    episodes = " or ".join(map(str, along))
    return (
        f"{evidence.seeds} per method, {episodes} episodes per task and evaluation; a curve ends where "
        "its shortest run does."
    )


def _thin(curve: dict[int, Scores]) -> dict[int, Scores]:
    """At most about MAX_POINTS of the curve, the last among them."""
    stride = -(-len(curve) // MAX_POINTS) or 1
    kept = list(curve)[::-1][::stride][::-1]
    return {step: curve[step] for step in kept}


def _interval(scores: Scores) -> Interval:
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    return bootstrap_interval(interquartile_mean, [scores], rng, resamples=RESAMPLES)


def _band(panel: Axes, steps: list[int], intervals: Sequence[Interval], color: str) -> None:
    ends = [
        (found.low, found.high) for found in intervals if found.low is not None and found.high is not None
    ]
    if len(ends) == len(steps):
        low, high = zip(*ends, strict=True)
        panel.fill_between(steps, low, high, color=color, alpha=0.18, linewidth=0)
