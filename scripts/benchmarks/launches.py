"""Counts the device operations of an update without a device:  benchmark.py update --launches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.measurement import BASELINE
from benchmarks.update import overrides, problems, random_batch
from mtrl.config.build import build_agent
from mtrl.config.compose import compose_config
from mtrl.config.registry import method_names
from mtrl.types import SuiteSpec

VIEWS = ("aten._unsafe_view", "aten.squeeze_", "aten.unsqueeze_", "aten.detach", "aten.alias")
EMPTY = ("aten.empty", "aten.new_empty", "aten.lift_fresh")


class DeviceOperations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that would each launch a kernel, if it ran on a GPU.

    Views, allocations and what has no elements launch nothing. What PyTorch runs as several kernels, such as
    a sort, counts once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, result = str(func), func(*args, **(kwargs or {}))
        # Some operations change their arguments and return nothing.
        parts = tree_leaves((args, result))
        on_device = any(isinstance(part, torch.Tensor) and part.is_meta and part.numel() for part in parts)
        if on_device and not (func.is_view or name.startswith((*VIEWS, *EMPTY))):
            self.counts[name] += 1
        return result


def count_operations(call: Callable[[], Any]) -> Counter[str]:
    """Count the device operations of a call on meta tensors, by name."""
    counter = DeviceOperations()
    with counter:
        call()
    return counter.counts


def count_update(spec: SuiteSpec, options: list[str], batch_size: int) -> Counter[str]:
    """Count the device operations of one update of the agent that ``options`` configure."""
    device = torch.device("meta")
    agent = build_agent(compose_config(options), spec, device, None)
    batch = random_batch(spec, batch_size, device)
    agent.update(batch, False)  # what a first update allocates
    return count_operations(lambda: agent.update(batch, False))


def benchmark_launches(arguments: Any) -> None:
    """Print the table of every aggregator."""
    named = problems(arguments)
    table = Table(title=f"device operations of one eager update, {arguments.agents[0]}")
    table.add_column("aggregator")
    for env, _ in named:
        table.add_column(env, justify="right")
        table.add_column(f"- {BASELINE}", justify="right")
    baseline: dict[str, int] = {}
    for method in dict.fromkeys([BASELINE, *(name for name in method_names() if name != "torchjd")]):
        cells = []
        for env, spec in named:
            options = overrides(arguments, arguments.agents[0], method)
            total = count_update(spec, options, arguments.batch_size).total()
            above = total - baseline.setdefault(env, total)
            cells += [str(total), f"{above:+d}"]
        table.add_row(method, *cells)
    Console().print(table)
