"""Draws all figures of an evaluation, by name."""

from __future__ import annotations

from matplotlib.figure import Figure

from mtrl.analysis.figures.final import draw_aggregates, draw_task_map
from mtrl.analysis.figures.gradients import PARTS, draw_cosines, draw_weights
from mtrl.analysis.figures.learning_curves import draw_learning_curves, draw_task_curves
from mtrl.analysis.figures.style import plain_text
from mtrl.analysis.results import Evidence
from mtrl.analysis.summary import Comparison


def draw_gallery(evidence: Evidence, comparison: Comparison) -> tuple[dict[str, Figure], list[str]]:
    """Draw the figures; also return notes on those that lack data."""
    with plain_text():
        figures = _draw(evidence, comparison)
    missing = [name for name, figure in figures.items() if figure is None]
    notes = [f"no figure {name}: the runs logged nothing for it" for name in missing]
    return {name: figure for name, figure in figures.items() if figure is not None}, notes


def _draw(evidence: Evidence, comparison: Comparison) -> dict[str, Figure | None]:
    figures: dict[str, Figure | None] = {"aggregates": draw_aggregates(evidence, comparison)}
    logged = any(result.curve() for result in evidence.results)
    figures["learning_curves"] = draw_learning_curves(evidence) if logged else None
    figures["task_map"] = draw_task_map(evidence)
    figures["task_curves"] = draw_task_curves(evidence) if logged else None
    for part in PARTS:
        figures[f"cosines_{part}"] = draw_cosines(evidence, part)
        figures[f"weights_{part}"] = draw_weights(evidence, part)
    return figures
