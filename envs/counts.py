"""Checks how many copies and workers a suite is asked for."""

from __future__ import annotations

from mtrl.machine import available_cores, available_memory
from mtrl.validation import require_integer

WORKER_BYTES = 300_000_000  # with some environments of Meta-World


def choose_workers(workers: int | str, environments: int) -> int:
    """The number of worker processes: ``auto`` is one per core that this process may use, none for one.

    It is fewer where so many would take more than half of the memory.

    Raises:
        UsageError: for anything but auto and an integer from 0 to the number of environments.
    """
    if workers == "auto":
        cores = min(available_cores(), max(1, available_memory() // (2 * WORKER_BYTES)))
        return 0 if cores == 1 else min(cores, environments)
    return require_integer(
        "workers", workers, 0, environments, f"auto is usual, there are {environments} environments to step"
    )


def require_environments(tasks: int, copies: int, most: int) -> int:
    """Give ``copies``, or raise :class:`~mtrl.errors.UsageError`: times ``tasks`` it is at most ``most``."""
    return require_integer(
        "copies", copies, 1, most // tasks, f"{tasks} tasks of 1 copy are usual, {most} in all are possible"
    )
