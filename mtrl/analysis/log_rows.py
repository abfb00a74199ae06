"""What a run wrote as JSON, whoever wrote it: what is not of the expected kind is refused or passed over."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtrl.errors import UsageError, require

Row = dict[str, Any]
MAX_NUMBER = 1e300  # of a number; a longer integer does not fit into a float


def read_manifest(path: Path) -> Row:
    """The facts of manifest.json.

    Raises:
        UsageError: if it is not JSON, or not a manifest.
    """
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON ({error}); leave {path.parent} out") from error
    require(_is_manifest(manifest), f"{path} is not the manifest of a run; leave {path.parent} out")
    return manifest


def read_evaluations(path: Path) -> list[Row]:
    """The evaluations of a run, in the order of the file, all of the same tasks as the last."""
    rows = [row for row in _rows(path) if _is_evaluation(row)]
    return [row for row in rows if row["success"].keys() == rows[-1]["success"].keys()]


def read_metrics(path: Path) -> list[Row]:
    """One row for each log interval: finite numbers as a list of each cosine, numbers of all else."""
    return [{name: value for name, value in row.items() if _is_metric(name, value)} for row in _rows(path)]


def _rows(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and _is_count(row.get("step")):
            rows.append(row)
    return rows


def _is_manifest(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    branches = [found.get(name, {}) for name in ("suite", "agent", "versions")]
    if not all(isinstance(branch, dict) for branch in branches):
        return False
    suite, agent, versions = branches
    tasks, counts = suite.get("tasks", []), agent.get("parameters", {})
    texts = [found.get(name) or "" for name in ("created", "device", "git_revision")]
    return (
        isinstance(tasks, list)
        and isinstance(counts, dict)
        and all(map(_is_name, (*tasks, *texts, versions.get("torch", ""))))
        and all(map(_is_count, counts.values()))
    )


def _is_evaluation(row: Row) -> bool:
    success, returns = row.get("success", {}), row.get("return", {})
    return bool(
        _is_table(success, lambda value: _is_finite(value) and 0 <= value <= 1)
        and _is_table(returns, _is_finite)
        and success.keys() == returns.keys()
        and _is_finite(row.get("mean_success"))
        and _is_count(row.get("episodes_per_task"))
    )


def _is_table(found: Any, valid: Callable[[Any], bool]) -> bool:
    return (
        isinstance(found, dict)
        and len(found) > 0
        and all(map(_is_name, found))
        and all(map(valid, found.values()))
    )


def _is_metric(name: str, value: Any) -> bool:
    if name.endswith("/cosine"):
        return isinstance(value, list) and all(map(_is_finite, value))
    return _is_finite(value) or (isinstance(value, float) and math.isnan(value))


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_name(value: Any) -> bool:
    """Whether ``value`` is text that can be printed on one line."""
    return isinstance(value, str) and value.isprintable() and len(value) <= 200
