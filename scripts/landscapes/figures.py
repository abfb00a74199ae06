"""Draws the two figures of ``toy.py``, readable in grey and for the colour-blind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from textwrap import fill

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from torch import Tensor

from landscapes.problems import (
    bowl_gradients,
    every_draw,
    valley_floors,
    valley_losses,
    valley_pareto_set,
)
from mtrl.config.registry import build_method, method_summary

COLUMNS = 5
TIME = LinearSegmentedColormap.from_list("time", ["#fde725", "#f98e09", "#bc3754", "#57106e", "#0d0887"])
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#9a9a9a"])  # leaves black for lines
BASE, SMOOTH, PLAIN = "#d55e00", "#0072b2", "#666666"
DPI = 160


def draw_valley_figure(
    paths: Mapping[str, Tensor], steps: int, learning_rate: float, noise: float, target: Path
) -> None:
    """Draw a panel for each method with its trajectories [T, S, 2], and a legend, to ``target``."""
    columns = min(COLUMNS, len(paths))
    rows = -(-len(paths) // columns)
    width, height = max(2.3 * columns, 7.5), 2.15 * rows + 1.7
    # Inches for the title and legend above, and for the caption below.
    layout = ConstrainedLayoutEngine(rect=(0, 0.75 / height, 1, 1 - 1.5 / height), hspace=0.03)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for panel, (name, path) in zip(panels.flat, paths.items(), strict=False):
        _draw_landscape(panel)
        _draw_paths(panel, path)
        out = int((path[-1, :, 1] < 0).sum())
        panel.set_title(f"{_title(name)}: {out} of {path.shape[1]}", fontsize=9)
    for panel in panels.flat[len(paths) :]:
        panel.axis("off")
    for panel in panels[:, 0]:
        panel.set_ylabel("parameter $x_2$", fontsize=8)
    for column in range(columns):
        lowest = panels[(len(paths) - 1 - column) // columns, column]
        lowest.set_xlabel("parameter $x_1$", fontsize=8)
        lowest.tick_params(labelbottom=True)
    bar = figure.colorbar(ScalarMappable(Normalize(0, steps), TIME), ax=panels, fraction=0.02, pad=0.01)
    bar.set_label("optimisation step, from start to end", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    noisy = f", with N(0, {noise:g}²) noise on every gradient" if noise else ""
    figure.suptitle(
        "How gradient aggregators move on a two-objective landscape", fontsize=12, y=1 - 0.08 / height
    )
    figure.legend(
        handles=_valley_legend(),
        ncols=5,
        fontsize=8,
        frameon=False,
        loc="center",
        bbox_to_anchor=(0.5, 1 - 0.52 / height),
    )
    caption = (
        "Shading: average of the two losses, dark is high. In the upper half each objective has a narrow "
        "valley; there its steep gradient swamps the other one, and a method that follows it crawls along "
        "the floor. Each point of the Pareto set is the best for some trade-off. Titles: starts "
        "from which the method has reached the lower half. Adam, learning rate "
        f"{learning_rate:g}, {steps:,} steps{noisy}."
    )
    figure.text(0.02, 0.08 / height, fill(caption, int(14.5 * width)), fontsize=8, va="bottom")
    figure.savefig(target)


def _draw_landscape(panel: Axes) -> None:
    x1, x2 = torch.meshgrid(
        torch.linspace(-11, 11, 221).double(), torch.linspace(-11, 11, 221).double(), indexing="xy"
    )
    losses = valley_losses(torch.stack([x1, x2], dim=-1)).mean(-1)
    panel.contourf(x1, x2, losses, levels=24, cmap=SHADES, vmin=-18, vmax=16)
    panel.contour(x1, x2, losses, levels=24, colors="#888888", linewidths=0.3, linestyles="solid")
    heights = torch.linspace(0.1, 11, 101).double()
    for floor in valley_floors(heights):
        panel.plot(floor, heights, ":", color="black", linewidth=1.0)
    ends = torch.linspace(-7, 7, 57).double()
    panel.plot(ends, valley_pareto_set(ends), color="black", linewidth=2.2, solid_capstyle="butt")
    panel.set(xlim=(-11, 11), ylim=(-11, 11), xticks=(-10, 0, 10), yticks=(-10, 0, 10), aspect="equal")
    panel.tick_params(labelsize=7)


def _draw_paths(panel: Axes, path: Tensor) -> None:
    for points in path.unbind(1):
        corners = points.numpy()
        segments = np.stack([corners[:-1], corners[1:]], axis=1)
        lines = LineCollection(list(segments), cmap=TIME, linewidths=2.0, zorder=3)
        lines.set_array(np.linspace(0, 1, len(segments)))
        panel.add_collection(lines)
    start, end = path[0].numpy(), path[-1].numpy()
    panel.plot(*start.T, "o", color="white", markeredgecolor="black", markersize=4.5, zorder=4)
    panel.plot(*end.T, "*", color="#56b4e9", markeredgecolor="black", markersize=9, zorder=5)


def _valley_legend() -> list[Line2D]:
    mark = partial(Line2D, [], [], linestyle="none", markeredgecolor="black")
    return [
        mark(marker="o", color="white", label="start"),
        mark(marker="*", color="#56b4e9", markersize=9, label="end"),
        Line2D([], [], color="black", linewidth=2.2, label="Pareto set"),
        Line2D([], [], color="black", linewidth=1.0, linestyle=":", label="floor of one objective's valley"),
        Line2D([], [], color="#888888", linewidth=0.8, label="equal average loss"),
    ]


def draw_bowl_figure(
    distances: Mapping[str, Tensor], smoothed: Mapping[str, str], steps: int, out: Path
) -> None:
    """Draw the expected wrong step, and distances [T, runs] with and without smoothing, to ``out``."""
    figure = Figure(figsize=(11, 4.3), dpi=DPI, layout="constrained")
    first, *others = figure.subplots(1, 1 + len(smoothed))
    _draw_expected_step(first, list(smoothed))
    top = 1.25 * max(float(value.max()) for value in distances.values())
    for panel, (base, smooth) in zip(others, smoothed.items(), strict=True):
        for name, color, style in (("mean", PLAIN, ":"), (base, BASE, "--"), (smooth, SMOOTH, "-")):
            _draw_distance(panel, distances[name], steps, _title(name), color, style)
        panel.set(xlabel="optimisation step", ylim=(0, top), title=f"{_title(base)}, plain and smoothed")
        panel.legend(fontsize=8, frameon=False, loc="upper right")
    others[0].set_ylabel("distance to the Pareto set")
    for panel in (first, *others):
        panel.title.set_fontsize(10)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    runs = next(iter(distances.values())).shape[1]
    figure.suptitle("Weights that depend on the drawn gradients lead away from the optimum", fontsize=12)
    figure.supxlabel(
        "Two convex objectives; each gradient is drawn from two. The Pareto set is the segment y = 0. "
        "Left: the mean step over all draws; above zero it leads away\nfrom the Pareto set. Others: start "
        f"(0, 0.4), step size 0.006/√k; lines are medians of {runs} runs, bands the middle 80 %. "
        "CR- smooths the task weights.",
        fontsize=8,
    )
    figure.savefig(out)


def _draw_expected_step(panel: Axes, methods: list[str]) -> None:
    heights = torch.linspace(0, 0.8, 81).double()
    styles = {
        "mean": (PLAIN, ":"),
        "mgda": ("#e69f00", "-"),
        "pcgrad": ("#009e73", "--"),
        "cagrad": ("#cc79a7", "-."),
    }
    for name in ("mean", *methods):
        color, style = styles[name]
        upward = [-float(expected_direction(name, torch.stack([0 * y, y]))[1]) for y in heights]
        panel.plot(heights, upward, style, color=color, label=_title(name), linewidth=1.8)
    panel.axhline(0, color="black", linewidth=0.8)
    panel.set(xlabel="distance y from the Pareto set", ylabel="expected step along y / step size")
    panel.set_title("Expected step at (0, y)")
    panel.legend(fontsize=8, frameon=False)


def expected_direction(method: str, point: Tensor) -> Tensor:
    """Average a stateless method's direction [2] at ``point`` [2] over the four draws of the bowls."""
    aggregator = build_method(method, 2)
    draws = every_draw()
    gradients = bowl_gradients(point.expand(len(draws), 2), draws)
    losses = torch.ones(2, dtype=point.dtype)
    return torch.stack([aggregator(drawn, losses).vector for drawn in gradients]).mean(0)


def _draw_distance(panel: Axes, distance: Tensor, steps: int, label: str, color: str, style: str) -> None:
    low, middle, high = np.quantile(distance.numpy(), [0.1, 0.5, 0.9], axis=1)
    axis = np.linspace(0, steps, len(middle))
    panel.fill_between(axis, low, high, color=color, alpha=0.18, linewidth=0)
    panel.plot(axis, middle, style, color=color, label=label, linewidth=1.8)


def _title(name: str) -> str:
    """Name a method by the head of its configuration's first line: ``cr_mgda`` becomes CR-MGDA."""
    special = {"mean": "Mean (GD)", "torchjd": "TorchJD UPGrad"}
    return special.get(name, method_summary(name).split(":")[0])
