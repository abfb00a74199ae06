"""What was measured for each method: one row of success rates for each seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mtrl.analysis.grouping import Method, group
from mtrl.analysis.log_rows import Row
from mtrl.analysis.runs import Run
from mtrl.analysis.statistics import Scores
from mtrl.errors import require


@dataclass(frozen=True)
class Result:
    """The evaluations that stand for one method."""

    method: Method
    runs: list[Run]  # those of the method's that have an evaluation
    rows: list[Row]  # one for each of ``runs``
    tasks: tuple[str, ...]

    @property
    def label(self) -> str:
        return self.method.label

    @property
    def scores(self) -> Scores:
        """Success rates [R, K]."""
        return np.array([[row["success"][task] for task in self.tasks] for row in self.rows])

    @property
    def means(self) -> Scores:
        """Over the seeds, [K]."""
        return self.scores.mean(axis=0)

    @property
    def best_over_training(self) -> float | None:
        """Highest of the evaluations' means over seeds and tasks, at steps that all seeds evaluated."""
        curve = self.curve()
        return max((float(scores.mean()) for scores in curve.values()), default=None)

    def curve(self) -> dict[int, Scores]:
        """Success rates [R, K] by step, at the steps that all seeds evaluated."""
        by_run = [{row["step"]: row for row in run.evaluations} for run in self.runs]
        steps = sorted(set.intersection(*(set(rows) for rows in by_run)))
        return {
            step: np.array([[rows[step]["success"][task] for task in self.tasks] for rows in by_run])
            for step in steps
        }


@dataclass(frozen=True)
class Evidence:
    """All results, and what a reader has to be told about them."""

    results: list[Result]
    notes: list[str] = field(default_factory=list)

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.results[0].tasks

    @property
    def episodes(self) -> str:
        """Per task and run."""
        return _range(row["episodes_per_task"] for result in self.results for row in result.rows)

    @property
    def steps(self) -> str:
        """Per task."""
        return _range(row["step"] for result in self.results for row in result.rows)

    @property
    def seeds(self) -> str:
        """Per method, with the noun."""
        count = _range(len(result.rows) for result in self.results)
        return f"{count} seed" if count == "1" else f"{count} seeds"

    def headline(self) -> str:
        """What is measured, of which checkpoints, seeds, steps and episodes."""
        unfinished = sum(run.final is None for result in self.results for run in result.runs)
        noun = "run" if unfinished == 1 else "runs"
        others = f" (of {unfinished} unfinished {noun}: the last evaluation)" if unfinished else ""
        return f"Success of the final checkpoint{others}. {self.caption()}"

    def caption(self) -> str:
        """Seeds, steps and episodes in one sentence."""
        return (
            f"{self.seeds} per method, {self.steps} environment steps "
            f"per task, {self.episodes} evaluation episodes per task and seed."
        )


def gather(runs: Sequence[Run], measured: dict[Run, Row] | None = None) -> Evidence:
    """Results of ``runs`` from their last logged evaluation, or from ``measured`` where that has the run.

    Raises:
        UsageError: if no run has an evaluation.
    """
    methods, notes = group(runs)
    rows = measured or {}
    results = []
    tasks = next((run.tasks for run in runs if run.tasks), ())
    for method in methods:
        usable = {}
        for run in method.runs:
            row = rows.get(run) or run.final or (run.evaluations[-1] if run.evaluations else None)
            if row is None:
                notes.append(f"{run.path} is left out: it has no evaluation yet")
                continue
            usable[run] = row
            if run.final is None:
                notes.append(f"{run.path} is unfinished: its figures are of step {row['step']:,}")
        if usable:
            results.append(Result(method, list(usable), list(usable.values()), tasks))
    paths = ", ".join(str(run.path) for run in runs[:3])
    require(
        len(results) > 0,
        f"no evaluation in {paths}; wait for the first one, or train with a shorter evaluation_interval",
    )
    single = [result.label for result in results if len(result.rows) == 1]
    if single:
        notes.append(f"no interval from a single run: {', '.join(single)}")
    return Evidence(results, notes)


def _range(values: Iterable[int]) -> str:
    found = sorted(set(values))
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"
