"""Lists learning curves: what each run had at each of its evaluations, a row for each task."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mtrl.analysis.clock import Clock
from mtrl.analysis.results import Evidence, Result
from mtrl.analysis.tables import Table

COLUMNS = (
    *("suite", "method", "seed", "step", "total_steps", "seconds", "task", "success", "return"),
    *("mean_success", "episodes", "final", "run"),
)


def curve_table(evidence: Evidence) -> Table:
    """Build a table with one row for each run, evaluation and task."""
    rows = [row for result in evidence.results for row in _rows(evidence.suite, result)]
    return Table("Learning curves", list(COLUMNS), rows)


def _rows(suite: str, result: Result) -> Iterator[list[str]]:
    for run in result.runs:
        clock = Clock(run)
        for entry in run.evaluations:
            seconds = clock.at(entry["step"])
            for task in result.tasks:
                row = [suite, result.label, run.seed, entry["step"], entry.get("total_steps", "")]
                row += ["" if math.isnan(seconds) else f"{seconds:.1f}", task]
                row += [entry["success"][task], entry["return"][task], entry["mean_success"]]
                row += [entry["episodes_per_task"], bool(entry.get("final")), run.path]
                yield [str(value) for value in row]
