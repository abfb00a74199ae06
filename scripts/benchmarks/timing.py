"""Times several calls in turns and takes medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch


def interleaved_medians(
    contenders: Mapping[str, Callable[[], Any]], repeats: int, device: torch.device
) -> dict[str, float]:
    """Take the median milliseconds of each call; contenders take turns, so a busy machine slows all alike."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(repeats + 1):
        for name, call in contenders.items():
            seconds = timed(call, device)
            if repeat > 0:  # the first call warms up
                times[name].append(1e3 * seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def timed(call: Callable[[], Any], device: torch.device) -> float:
    """Time one call in seconds."""
    _synchronise(device)
    begin = time.perf_counter()
    call()
    _synchronise(device)
    return time.perf_counter() - begin


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
