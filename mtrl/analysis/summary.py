"""Computes the summary statistics of each method that a paper's table would have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mtrl.analysis.grouping import INDEPENDENT, find_method
from mtrl.analysis.results import Evidence, Result
from mtrl.analysis.statistics import (
    Interval,
    Scores,
    bootstrap_interval,
    interquartile_mean,
    mean,
    mean_rank,
    probability_of_improvement,
    relative_drop,
    worst_mean,
)
from mtrl.analysis.thresholds import Reached, when_reached
from mtrl.errors import UsageError, require

BOOTSTRAP_SEED = 0  # fixed, so that the same runs always print the same interval


@dataclass(frozen=True)
class Summary:
    """One method over seeds and tasks."""

    result: Result
    mean: Interval
    iqm: Interval
    worst: float  # on each seed's worst tasks
    rank: float  # among the methods, averaged over tasks
    improvement: Interval | None  # probability of it over the baseline; None for the baseline itself
    drop: float | None  # Δm % against the reference
    drop_tasks: int  # tasks that Δm is taken over
    best_over_training: float | None
    reached: list[Reached]


@dataclass(frozen=True)
class Comparison:
    """The summaries of all methods, and what two of their statistics refer to."""

    summaries: list[Summary]
    baseline: str | None  # of the probability of improvement
    reference: str | None  # of Δm
    worst_tasks: int  # that count as a seed's worst


def compare_methods(
    evidence: Evidence, baseline: str | None = None, worst_tasks: int | None = None
) -> Comparison:
    """Summarise the methods, in the order of the results.

    Without a ``baseline`` the only method that averages the gradients is taken, if there is one besides
    others. The reference of Δm is the only single-task method, or else that baseline. Without ``worst_tasks``
    a fifth of the tasks are a seed's worst.

    Raises:
        UsageError: for a baseline that is not one of the methods, and for more worst tasks than there are.
    """
    results, tasks = evidence.results, len(evidence.tasks)
    worst = max(1, tasks // 5) if worst_tasks is None else worst_tasks
    require(
        1 <= worst <= tasks, f"--worst must be from 1 to the {tasks} tasks of {evidence.suite}, found {worst}"
    )
    base = _baseline(results, baseline)
    reference = _only([result for result in results if result.method.agent == INDEPENDENT]) or base
    ranks = mean_rank(np.stack([result.means for result in results]))
    summaries = []
    for result, rank in zip(results, ranks, strict=True):
        improvement = None
        if base is not None and result is not base:
            improvement = _interval(probability_of_improvement, result, base)
        drop, drop_tasks = (None, 0) if reference is None else relative_drop(result.means, reference.means)
        summaries.append(
            Summary(
                result=result,
                mean=_interval(mean, result),
                iqm=_interval(interquartile_mean, result),
                worst=worst_mean(result.scores, worst),
                rank=float(rank),
                improvement=improvement,
                drop=drop,
                drop_tasks=drop_tasks,
                best_over_training=result.best_over_training,
                reached=when_reached(result.runs),
            )
        )
    return Comparison(summaries, base.label if base else None, reference.label if reference else None, worst)


def compare_suites(
    suites: Sequence[Evidence], baseline: str | None = None, worst_tasks: int | None = None
) -> tuple[list[tuple[Evidence, Comparison]], list[str]]:
    """Compare the methods of each suite; also return notes on suites that lack the baseline.

    Raises:
        UsageError: for a baseline that no suite has, and for more worst tasks than there are.
    """
    found, lacking = [], []
    for evidence in suites:
        try:
            found.append((evidence, compare_methods(evidence, baseline, worst_tasks)))
        except UsageError as error:
            lacking.append(f"{evidence.suite}: {error}")
            if len(suites) > 1:
                found.append((evidence, compare_methods(evidence)))
    require(len(lacking) < len(suites), lacking[0].partition(": ")[2] if lacking else "")
    return found, lacking


def _baseline(results: list[Result], name: str | None) -> Result | None:
    if name is not None:
        method = find_method([result.method for result in results], name)
        return next(result for result in results if result.method is method)
    if len(results) < 2:
        return None
    joint = [result for result in results if result.method.agent != INDEPENDENT]
    return _only([result for result in joint if result.method.aggregator == "mean"])


def _only(results: list[Result]) -> Result | None:
    return results[0] if len(results) == 1 else None


def _interval(statistic: Callable[..., Scores], *results: Result) -> Interval:
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    return bootstrap_interval(statistic, [result.scores for result in results], rng)
