"""Reads a run's manifest, metrics and evaluations; refuses or skips whatever is malformed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtrl.errors import UsageError, require

Entry = dict[str, Any]
MAX_NUMBER = 1e300  # a longer integer does not fit into a float


def read_manifest(path: Path) -> Entry:
    """Read the facts in manifest.json.

    Raises:
        UsageError: if it is not JSON, or not a manifest.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON ({error})") from error
    require(_is_manifest(manifest), f"{path} is not the manifest of a run")
    return manifest


def read_evaluations(path: Path) -> list[Entry]:
    """Read the evaluations of a run, in the order of the file, all of the same tasks as the last."""
    entries = [entry for entry in _entries(path) if _is_evaluation(entry)]
    return [entry for entry in entries if entry["success"].keys() == entries[-1]["success"].keys()]


def read_final(path: Path) -> Entry | None:
    """Read the final evaluation of a run; None where it has none yet."""
    return next((entry for entry in read_evaluations(path) if entry.get("final")), None)


def read_metrics(path: Path) -> list[Entry]:
    """Read one entry for each log interval: lists of finite numbers for cosines, numbers for the rest."""
    return [
        {name: value for name, value in entry.items() if _is_metric(name, value)} for entry in _entries(path)
    ]


def read_measured(path: Path) -> Entry | None:
    """Read one evaluation that says the horizon of its episodes; None for a file that holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    valid = isinstance(found, dict) and _is_count(found.get("horizon")) and _is_evaluation(found)
    return found if valid else None


def read_clock(path: Path) -> list[tuple[int, int, float]]:
    """Read step, total steps and total steps per second of each log interval that has them."""
    names = ("step", "total_steps", "time/steps_per_second")
    rows = [tuple(entry.get(name, "") for name in names) for entry in _entries(path)]
    return [(step, total, rate) for step, total, rate in rows if _is_count(total) and _is_finite(rate)]


def _entries(path: Path) -> list[Entry]:
    if not path.is_file():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and _is_count(entry.get("step")):
            entries.append(entry)
    return entries


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


def _is_evaluation(entry: Entry) -> bool:
    success, returns = entry.get("success", {}), entry.get("return", {})
    return bool(
        _is_table(success, lambda value: _is_finite(value) and 0 <= value <= 1)
        and _is_table(returns, _is_finite)
        and success.keys() == returns.keys()
        and _is_finite(entry.get("mean_success"))
        and _is_count(entry.get("episodes_per_task"))
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
