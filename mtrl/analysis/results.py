"""Collects what was measured for each method of each suite: one evaluation for each seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mtrl.analysis.grouping import Method, choice_name, group
from mtrl.analysis.log_entries import Entry
from mtrl.analysis.runs import Run, by_suite
from mtrl.analysis.simulated import remarks
from mtrl.analysis.statistics import Scores
from mtrl.errors import UsageError, require


@dataclass(frozen=True)
class Result:
    """The evaluations that stand for one method."""

    method: Method
    runs: list[Run]  # those of the method's that have an evaluation
    entries: list[Entry]  # one for each of ``runs``
    tasks: tuple[str, ...]

    @property
    def label(self) -> str:
        return self.method.label

    @property
    def scores(self) -> Scores:
        """Success rates [R, K]."""
        return np.array([[entry["success"][task] for task in self.tasks] for entry in self.entries])

    @property
    def means(self) -> Scores:
        """Success rates averaged over the seeds, [K]."""
        return self.scores.mean(axis=0)

    @property
    def best_over_training(self) -> float | None:
        """Highest of the evaluations' means over seeds and tasks, at steps that all seeds evaluated."""
        curve = self.curve()
        return max((float(scores.mean()) for scores in curve.values()), default=None)

    def curve(self) -> dict[int, Scores]:
        """Success rates [R, K] by step, at the steps that all seeds evaluated."""
        by_run = [{entry["step"]: entry for entry in run.evaluations} for run in self.runs]
        steps = sorted(set.intersection(*(set(entries) for entries in by_run)))
        return {
            step: np.array([[entries[step]["success"][task] for task in self.tasks] for entries in by_run])
            for step in steps
        }


@dataclass(frozen=True)
class Evidence:
    """All results on one suite, and what a reader has to be told about them."""

    suite: str
    results: list[Result]
    notes: list[str] = field(default_factory=list)

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.results[0].tasks

    @property
    def episodes(self) -> str:
        """The number of evaluation episodes, per task and run."""
        return _range(entry["episodes_per_task"] for result in self.results for entry in result.entries)

    @property
    def steps(self) -> str:
        """The number of environment steps, per task."""
        return _range(entry["step"] for result in self.results for entry in result.entries)

    @property
    def seeds(self) -> str:
        """The number of seeds per method, with the noun."""
        count = _range(len(result.entries) for result in self.results)
        return f"{count} seed" if count == "1" else f"{count} seeds"

    def headline(self) -> str:
        """Say what is measured, and over which checkpoints, seeds, steps and episodes."""
        unfinished = sum(run.final is None for result in self.results for run in result.runs)
        noun = "run" if unfinished == 1 else "runs"
        others = f" (of {unfinished} unfinished {noun}: the last evaluation)" if unfinished else ""
        return f"Success of the final checkpoint{others}. {self.caption()}"

    def caption(self) -> str:
        """State seeds, steps and episodes in one sentence."""
        return (
            f"{self.seeds} per method, {self.steps} environment steps "
            f"per task, {self.episodes} evaluation episodes per task and seed."
        )


def gather(runs: Sequence[Run], measured: dict[Run, Entry] | None = None) -> Evidence:
    """Collect the results of ``runs``: from ``measured`` where it has the run, else from the last evaluation.

    Raises:
        UsageError: if no run has an evaluation.
    """
    methods, notes = group(runs)
    fresh = measured or {}
    results: list[Result] = []
    for method in methods:
        usable = {}
        for run in method.runs:
            entry = fresh.get(run) or run.final or (run.evaluations[-1] if run.evaluations else None)
            if entry is None:
                notes.append(f"{run.path} is left out: it has no evaluation yet")
                continue
            usable[run] = entry
            notes += remarks(run, entry)
            if run.final is None:
                notes.append(f"{run.path} is unfinished: its figures are of step {entry['step']:,}")
        if usable:
            tasks = results[0].tasks if results else tuple(next(iter(usable.values()))["success"])
            results.append(Result(method, list(usable), list(usable.values()), tasks))
    paths = ", ".join(str(run.path) for run in runs[:3])
    require(
        len(results) > 0,
        f"no evaluation in {paths}; wait for the first one, or train with a shorter evaluation_interval",
    )
    single = [result.label for result in results if len(result.entries) == 1]
    if single:
        notes.append(f"no interval from a single run: {', '.join(single)}")
    return Evidence(choice_name(runs[0].config, "env"), results, notes)


def gather_suites(runs: Sequence[Run], measured: dict[Run, Entry] | None = None) -> list[Evidence]:
    """Collect the results on each suite, under names of their own; see :func:`gather`.

    Raises:
        UsageError: if no run has an evaluation.
    """
    found, lacking = [], []
    for members in by_suite(runs):
        try:
            found.append(gather(members, measured))
        except UsageError as error:
            lacking.append(str(error))
    require(len(found) > 0, "; ".join(lacking))
    found[0].notes.extend(lacking)
    count = Counter(evidence.suite for evidence in found)
    sizes = Counter((evidence.suite, len(evidence.tasks)) for evidence in found)
    for place, evidence in enumerate(found):
        name, size = evidence.suite, len(evidence.tasks)
        if count[name] > 1:
            unique = "" if sizes[name, size] == 1 else f"_{place + 1}"
            found[place] = replace(evidence, suite=f"{name}_{size}_tasks{unique}")
    return found


def _range(values: Iterable[int]) -> str:
    found = sorted(set(values))
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"
