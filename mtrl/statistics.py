"""Aggregate scores over seeds and tasks, with the intervals that a reviewer asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mtrl.errors import require

Scores = NDArray[np.float64]


def interquartile_mean(scores: Scores) -> float:
    """Mean of the middle half of ``scores`` [runs, tasks], all pooled (Agarwal et al., NeurIPS 2021)."""
    return float(stats.trim_mean(scores, 0.25, axis=None))


@dataclass(frozen=True)
class Interval:
    """A point estimate with the ends of its confidence interval."""

    estimate: float
    low: float | None  # None where a single run leaves nothing to resample
    high: float | None


def bootstrap_interquartile_mean(
    scores: Scores, rng: np.random.Generator, confidence: float = 0.95, resamples: int = 5000
) -> Interval:
    """IQM with a percentile interval from the stratified bootstrap: runs resampled within each task.

    Args:
        scores: [runs, tasks].
        rng: source of the resamples.
        confidence: of the interval.
        resamples: number of bootstrap replicates.
    """
    require(scores.ndim == 2, f"scores must have shape [runs, tasks], found {list(scores.shape)}")
    estimate = interquartile_mean(scores)
    if scores.shape[0] < 2:
        return Interval(estimate, None, None)

    def pooled(*columns: Scores, axis: int) -> Scores:
        return stats.trim_mean(np.concatenate(columns, axis=axis), 0.25, axis=axis)

    result = stats.bootstrap(
        tuple(scores.T),
        pooled,
        vectorized=True,
        method="percentile",
        confidence_level=confidence,
        n_resamples=resamples,
        rng=rng,
    ).confidence_interval
    return Interval(estimate, float(result.low), float(result.high))
