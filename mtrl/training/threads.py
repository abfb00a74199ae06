"""Chooses how many threads compute a run's updates: as many as pay, on cores that nothing else needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mtrl.machine import available_cores
from mtrl.validation import require_integer

MAX_THREADS = 1024
FLOP_PER_THREAD = 4e9  # of one update: with less to do, threads wait for each other longer than they work


def choose_threads(
    wanted: Any, *, device: torch.device, flop: float, workers: int, before: Any = None
) -> int:
    """Return how many threads PyTorch gets.

    ``auto`` is one on a GPU, for small networks, and where worker processes occupy the cores; beyond, one for
    every :data:`FLOP_PER_THREAD`, as far as cores are free, and never more than PyTorch has now.

    Args:
        wanted: ``auto`` or a number.
        device: of the updates.
        flop: of one update, about.
        workers: processes that step environments at the same time.
        before: the number in a run that goes on, which ``auto`` keeps where there are cores for it: another
            would round differently.

    Raises:
        UsageError: for anything but auto and a positive integer.
    """
    if wanted != "auto":
        require_integer("threads", wanted, 1, MAX_THREADS, "auto is usual")
        return int(wanted)
    cores = available_cores()
    if isinstance(before, int) and 1 <= before <= cores:
        return before
    if device.type != "cpu":
        return 1
    free = min(cores - workers, torch.get_num_threads())
    return max(1, min(free, int(flop / FLOP_PER_THREAD)))


def flop_of_update(parameters: int, samples: int) -> float:
    """Estimate the FLOP of an update: an average of six products of a multiplication and an addition each.

    Args:
        parameters: that are trained.
        samples: K times B.
    """
    return 12.0 * parameters * samples


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute by ``count`` threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
