"""What the suites accept as options."""

from __future__ import annotations

import os

from mtrl.errors import require


def choose_workers(workers: int | str, environments: int) -> int:
    """The number of worker processes: ``auto`` is one per core, and none where there is one core only.

    Raises:
        UsageError: for anything but auto and an integer from 0 to the number of environments.
    """
    if workers == "auto":
        cores = len(os.sched_getaffinity(0))
        return 0 if cores == 1 else min(cores, environments)
    require_integer(
        "workers", workers, 0, environments, f"auto is usual, there are {environments} environments to step"
    )
    assert isinstance(workers, int)
    return workers


def require_integer(parameter: str, value: object, low: int, high: int, remedy: str) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless ``value`` is an integer from ``low`` to ``high``."""
    valid = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    require(valid, f"{parameter} must be an integer from {low} to {high}, found {value!r}; {remedy}")
