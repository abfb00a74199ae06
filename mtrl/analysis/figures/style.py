"""Gives every figure one look, readable in print and for the colour-blind, with title and caption."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from textwrap import fill, wrap
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import NDArray

# Okabe and Ito's colours without the yellow, which is lost on white; the dashes tell them apart in grey.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DPI = 160
SMALL, NORMAL = 7, 8  # points
CAPTION_LINE = 0.14  # inches
TITLE = 0.32
LINE = 24  # characters of a method's name beside or above a panel


def method_style(index: int) -> dict[str, Any]:
    """Choose colour, dash and marker of the method at ``index``; any two of the three tell 31 apart."""
    shifted = index + index // len(COLORS)
    return {
        "color": COLORS[index % len(COLORS)],
        "linestyle": DASHES[shifted % len(DASHES)],
        "marker": MARKERS[shifted % len(MARKERS)],
    }


def new_figure(
    width: float, height: float, title: str, caption: str, labels: list[str] | None = None
) -> Figure:
    """Make an empty figure with its title, the legend of the methods ``labels``, and its caption.

    Args:
        width: width in inches.
        height: height of the panels in inches; the rest is added.
        title: stands above everything.
        caption: stands below everything.
        labels: the methods' labels, in their order; None for no legend.
    """
    lines = wrap(caption, int(15.5 * width))
    widest = 0.6 + 0.062 * max(map(len, labels or [""]))  # inches of an entry of the legend
    columns = max(1, min(len(labels or []), int(width / widest)))
    legend = 0.19 * -(-len(labels) // columns) + 0.1 if labels else 0
    below = CAPTION_LINE * len(lines) + 0.12
    total = height + below + TITLE + legend
    layout = ConstrainedLayoutEngine(rect=(0, below / total, 1, height / total))
    figure = Figure(figsize=(width, total), dpi=DPI, layout=layout)
    figure.suptitle(title, fontsize=11, x=0.02, ha="left", y=1 - 0.08 / total)
    figure.text(0.02, 0.06 / total, "\n".join(lines), fontsize=NORMAL, va="bottom", linespacing=1.2)
    if labels:
        handles = [Line2D([], [], label=label, **method_style(i)) for i, label in enumerate(labels)]
        figure.legend(
            handles=handles,
            ncols=columns,
            fontsize=NORMAL,
            frameon=False,
            loc="upper left",
            bbox_to_anchor=(0.015, 1 - TITLE / total),
            borderaxespad=0,
            handlelength=3.2,
        )
    return figure


def broken(label: str) -> str:
    """Break the name of a method at spaces into lines of about ``LINE`` characters."""
    return fill(label, LINE, break_long_words=False, break_on_hyphens=False)


def label_outer(panels: NDArray[Any], count: int, x: str, y: str) -> None:
    """Title the axes of a grid [rows, columns] of which the first ``count`` panels are used."""
    for panel in panels.flat[count:]:
        panel.axis("off")
    for panel in panels.flat[max(0, count - panels.shape[1]) : count]:  # the lowest of each column
        panel.set_xlabel(x, fontsize=NORMAL)
        panel.tick_params(axis="x", labelbottom=True)
    for panel in panels[:, 0]:
        panel.set_ylabel(y, fontsize=NORMAL)


def tidy(panel: Axes) -> None:
    """Remove the box of a panel and lighten its grid."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(visible=True, color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=SMALL)
    panel.xaxis.label.set_fontsize(NORMAL)
    panel.yaxis.label.set_fontsize(NORMAL)


def plain_text() -> AbstractContextManager[None]:
    """Show names as they are, so that a dollar sign in one begins no formula."""
    return mpl.rc_context({"text.parse_math": False})


def image(figure: Figure, kind: str) -> bytes:
    """Render the figure as the bytes of a file; equal figures give equal bytes."""
    buffer = io.BytesIO()
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with plain_text(), mpl.rc_context({"svg.hashsalt": "mtrl"}):
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
