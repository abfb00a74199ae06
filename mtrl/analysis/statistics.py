"""Aggregates scores over seeds and tasks, with confidence intervals.

Scores are [R, K]: one row for each run, one column for each task; larger is better.
docs/protocol.md has the formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mtrl.errors import require

Scores = NDArray[np.float64]

BATCH = 2**21  # resampled numbers held at a time


@dataclass(frozen=True)
class Interval:
    """A point estimate with the ends of its confidence interval."""

    estimate: float
    low: float | None  # None where a single run leaves nothing to resample
    high: float | None


def interquartile_mean(scores: Scores) -> Scores:
    """Mean of the middle half of ``scores`` [..., R, K], all pooled (Agarwal et al., NeurIPS 2021)."""
    return stats.trim_mean(scores.reshape(*scores.shape[:-2], -1), 0.25, axis=-1)


def mean(scores: Scores) -> Scores:
    """Mean of ``scores`` [..., R, K] over runs and tasks."""
    return scores.mean(axis=(-2, -1))


def worst_mean(scores: Scores, count: int) -> float:
    """Mean over runs of each run's ``count`` lowest of its K ``scores`` [R, K]."""
    return float(np.sort(scores, axis=1)[:, :count].mean())


def probability_of_improvement(scores: Scores, baseline: Scores) -> Scores:
    """P(a run of ``scores`` [..., R, K] beats one of ``baseline`` [..., S, K]), the mean over the tasks.

    Ties count one half: the Mann-Whitney statistic over R S (Agarwal et al., NeurIPS 2021, section 4.3).
    """
    difference = scores[..., :, None, :] - baseline[..., None, :, :]  # [..., R, S, K]
    return ((np.sign(difference) + 1) / 2).mean(axis=(-3, -2, -1))


def bootstrap_interval(
    statistic: Callable[..., Scores],
    samples: Sequence[Scores],
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 5000,
) -> Interval:
    """A statistic with a percentile interval from the stratified bootstrap: runs resampled within each task.

    Args:
        statistic: of arrays [..., R, K], one for each sample, to [...].
        samples: [R, K] each; the numbers of runs may differ.
        rng: source of the resamples.
        confidence: of the interval.
        resamples: number of bootstrap replicates.

    Raises:
        UsageError: for a sample that is not [R, K].
    """
    for scores in samples:
        shape = list(scores.shape)
        require(scores.ndim == 2 and scores.size > 0, f"scores must have shape [runs, tasks], found {shape}")
    estimate = float(statistic(*samples))
    if min(len(scores) for scores in samples) < 2:
        return Interval(estimate, None, None)
    counts = [scores.shape[1] for scores in samples]
    ends = np.cumsum(counts)

    def over_columns(*columns: Scores, axis: int) -> Scores:
        parts = [columns[end - count : end] for count, end in zip(counts, ends, strict=True)]
        return statistic(*(np.stack([np.moveaxis(c, axis, -1) for c in part], axis=-1) for part in parts))

    result = stats.bootstrap(
        tuple(column for scores in samples for column in scores.T),
        over_columns,
        vectorized=True,
        method="percentile",
        confidence_level=confidence,
        n_resamples=resamples,
        batch=max(1, BATCH // sum(scores.size for scores in samples)),
        rng=rng,
    ).confidence_interval
    return Interval(estimate, float(result.low), float(result.high))


def mean_rank(scores: Scores) -> Scores:
    """Rank of each method on a task, averaged over the tasks: [M] from mean scores [M, K].

    1 is best; equal scores share the average of their ranks.
    """
    return stats.rankdata(-scores, axis=0).mean(axis=1)


def relative_drop(scores: Scores, reference: Scores) -> tuple[float | None, int]:
    """Δm % of mean scores [K] against a reference's [K], and over how many tasks.

    The mean over the tasks of 100 (reference − score) / reference: below zero is better than the reference,
    as papers on multi-task learning write it (CAGrad, NeurIPS 2021, section 5). Tasks where the reference
    scores zero have no such ratio and are left out; None if none is left.
    """
    usable = reference > 0
    if not usable.any():
        return None, 0
    drops = (reference[usable] - scores[usable]) / reference[usable]
    return float(100 * drops.mean()), int(usable.sum())
