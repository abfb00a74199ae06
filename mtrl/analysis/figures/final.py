"""Draws final success: by method with intervals, and by task and method."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtrl.analysis.figures.style import COLORS, NORMAL, SMALL, broken, new_figure, tidy
from mtrl.analysis.results import Evidence
from mtrl.analysis.statistics import Interval
from mtrl.analysis.summary import Comparison

MAX_NUMBERED_METHODS = 14  # methods whose cells can hold a number


def draw_aggregates(evidence: Evidence, comparison: Comparison) -> Figure:
    """Draw each method's mean, IQM and, against a baseline, probability of improvement, with intervals."""
    caption = (
        f"{evidence.headline()} Dots: estimates over seeds and tasks; bars: "
        "95 % stratified bootstrap intervals over seeds (5,000 resamples), none for a single seed."
    )
    summaries = comparison.summaries
    parts: list[tuple[str, list[Interval | None]]] = [
        ("mean success rate", [summary.mean for summary in summaries]),
        ("IQM of success rate", [summary.iqm for summary in summaries]),
    ]
    if comparison.baseline is not None:
        caption += f" Baseline: {comparison.baseline}; dashed: as likely better as worse."
        improvements = [summary.improvement for summary in summaries]
        parts.append(("P(better than baseline)", improvements))
    labels = [broken(summary.result.label) for summary in summaries]
    lines = [line for label in labels for line in label.splitlines()]
    width = max(7.0, 5.4 + 0.065 * max(map(len, lines)))
    height = 0.12 * (len(summaries) + len(lines)) + 0.7
    figure = new_figure(width, height, "Final success of each method", caption)
    panels = figure.subplots(1, len(parts), squeeze=False, sharey=True)[0]
    for panel, (label, intervals) in zip(panels, parts, strict=True):
        _draw_intervals(panel, intervals)
        panel.set(xlabel=label, xlim=(-0.04, 1.04), xticks=(0, 0.25, 0.5, 0.75, 1))
        panel.set_xticklabels(["0", ".25", ".5", ".75", "1"])
        tidy(panel)
    if comparison.baseline is not None:
        panels[-1].axvline(0.5, color="black", linewidth=0.8, linestyle="--")
    panels[0].set_yticks(range(len(labels)), labels, fontsize=NORMAL)
    panels[0].set_ylim(len(labels) - 0.5, -0.5)
    panels[0].set_ylabel("method", fontsize=NORMAL)
    return figure


def _draw_intervals(panel: Axes, intervals: list[Interval | None]) -> None:
    for place, found in enumerate(intervals):
        if found is None:
            continue
        if found.low is not None and found.high is not None:
            width = found.high - found.low
            panel.barh(place, width, left=found.low, height=0.5, color=COLORS[0], alpha=0.35, linewidth=0)
        panel.plot(found.estimate, place, "o", color=COLORS[0], markersize=5)


def draw_task_map(evidence: Evidence) -> Figure:
    """Draw a map of success, tasks by methods."""
    caption = f"{evidence.headline()} Mean over the seeds, no intervals."
    labels = [broken(result.label) for result in evidence.results]
    tasks = evidence.tasks
    means = np.stack([result.means for result in evidence.results], axis=1)  # [K, M]
    longest = max(len(line) for label in labels for line in label.splitlines())
    wide = max(0.55, 0.26 * max(label.count("\n") + 1 for label in labels))
    size = max(wide * len(labels) + 2.6, 4.5), 0.2 * len(tasks) + 0.9 + 0.055 * longest
    figure = new_figure(*size, "Final success on each task", caption)
    panel = figure.subplots()
    picture = panel.imshow(means, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    panel.set_xticks(
        range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=NORMAL
    )
    panel.set_yticks(range(len(tasks)), tasks, fontsize=SMALL)
    panel.set_xlabel("method", fontsize=NORMAL)
    panel.set_ylabel("task", fontsize=NORMAL)
    if len(labels) <= MAX_NUMBERED_METHODS:
        for (row, column), value in np.ndenumerate(means):
            color = "white" if value < 0.5 else "black"
            panel.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=color)
    bar = figure.colorbar(picture, ax=panel, fraction=0.05, pad=0.02)
    bar.set_label("success rate", fontsize=NORMAL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure
