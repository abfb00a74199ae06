"""Says after how many steps and how much time runs first had a success rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtrl.analysis.clock import Clock
from mtrl.analysis.runs import Run

THRESHOLDS = (0.5, 0.7, 0.9)  # of the mean over tasks


@dataclass(frozen=True)
class Reached:
    """When the runs of a method first had a success rate: medians over all, or None where half never had."""

    threshold: float
    steps: float | None  # of each task
    seconds: float | None  # of training, without evaluations
    reached: int  # runs that had it
    runs: int


def when_reached(runs: Sequence[Run]) -> list[Reached]:
    """When ``runs`` first had each of :data:`THRESHOLDS` at an evaluation."""
    clocks = [Clock(run) for run in runs]
    found = []
    for threshold in THRESHOLDS:
        steps = _first_steps(runs, threshold)
        times = [clock.at(step) for clock, step in zip(clocks, steps, strict=True)]
        had = sum(map(math.isfinite, steps))
        found.append(Reached(threshold, _median(steps), _median(times), had, len(runs)))
    return found


def median_step(runs: Sequence[Run], threshold: float) -> int | None:
    """The median of the steps after which ``runs`` first had a success rate; None where half never had."""
    middle = _median(_first_steps(runs, threshold))
    return None if middle is None else round(middle)


def _first_steps(runs: Sequence[Run], threshold: float) -> list[float]:
    return [
        next((entry["step"] for entry in run.evaluations if entry["mean_success"] >= threshold), math.inf)
        for run in runs
    ]


def _median(values: Sequence[float]) -> float | None:
    """Of all runs, those that never came there among them."""
    middle = float(np.median(values))
    return middle if math.isfinite(middle) else None
