"""Says how long a run had trained at a step, from the rates that it logged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from mtrl.analysis.log_entries import read_clock
from mtrl.analysis.runs import Run


class Clock:
    """The seconds that a run trained, by step; evaluations are not counted."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def _times(self) -> tuple[list[int], list[float]]:
        return _elapsed(read_clock(self._run.files.metrics))

    def at(self, step: float) -> float:
        """Seconds before ``step``; infinite for an infinite one, NaN where the run logged none."""
        if math.isinf(step):
            return step
        steps, seconds = self._times
        if len(steps) == 1:
            return math.nan
        beyond = max(step / steps[-1], 1.0)  # after the last entry at the rate of all before
        return float(np.interp(step, steps, seconds)) * beyond


def _elapsed(rates: Sequence[tuple[int, int, float]]) -> tuple[list[int], list[float]]:
    """Steps, and the seconds before each, of entries: step, total steps, total steps per second."""
    steps, seconds = [0], [0.0]
    for (_, before, _), (step, total, rate) in pairwise([(0, 0, 0.0), *sorted(rates)]):
        if rate > 0 and total > before:
            steps.append(step)
            seconds.append(seconds[-1] + (total - before) / rate)
    return steps, seconds
