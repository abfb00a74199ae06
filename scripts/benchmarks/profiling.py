"""Tabulates which operations take the time of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

PROFILED = 12  # operations in a profile


def profiled(title: str, call: Callable[[], Any], device: torch.device) -> Table:
    """Tabulate the operations that take most of the device's time."""
    on_cuda = device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    with profile(activities=kinds) as profiler:
        call()
    found = {
        event.key: (event.self_device_time_total if on_cuda else event.self_cpu_time_total, event.count)
        for event in profiler.key_averages()
    }
    total = sum(time for time, _ in found.values())
    table = Table(title=f"{title}: {1e-3 * total:.1f} ms under the profiler")
    for column in ("operation", "calls", "share"):
        table.add_column(column, justify="left" if column == "operation" else "right")
    longest = sorted(found.items(), key=lambda item: -item[1][0])
    for name, (time, count) in longest[:PROFILED]:
        table.add_row(name, str(count), f"{time / max(total, 1e-9):.1%}")
    return table
