"""Times each method's weights with its kernel and without:  python scripts/benchmark.py kernels."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mtrl.aggregators import GramAggregator
from mtrl.aggregators._kernels import launching
from mtrl.config.registry import build_method, method_names, require_methods
from mtrl.devices import choose_device, describe_device
from mtrl.errors import require

REPLAYS = 50
FAMILIES = ("aligned", "neutral", "conflicting", "clusters")


@dataclass(frozen=True)
class Measurement:
    """The time of one method's weights at one number of tasks, replayed from a CUDA graph."""

    tasks: int
    method: str
    first_call: float  # seconds, in which Triton compiles
    kernel: float  # microseconds
    reference: float  # microseconds
    slowest: float  # microseconds of the kernel on the gradients that take longest
    deviation: float  # of the direction from the reference's, relative, where nothing is drawn


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "kernels", help="each Gram method's weights on a GPU, with kernels and without"
    )
    parser.add_argument("--tasks", nargs="+", type=int, default=[10, 50], help="K (10 50)")
    parser.add_argument("--methods", nargs="+", help="configurations (all)")
    parser.add_argument("--device", default="auto", help="cuda or cuda:N (auto)")
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    parser.set_defaults(run=benchmark_kernels)


def benchmark_kernels(arguments: argparse.Namespace) -> None:
    """Print the table, and write it if asked."""
    device = choose_device(arguments.device)
    require(device.type == "cuda", f"--device must be a GPU, for kernels run nowhere else; found {device}")
    require_methods(arguments.methods or [])
    measurements = [
        found
        for num in arguments.tasks
        for method in arguments.methods or method_names()
        if (found := _measure(method, num, device)) is not None
    ]
    table = Table(title=f"weights from a Gram matrix, us in a CUDA graph, {describe_device(device)}")
    for column in ("K", "method", "first call s", "kernel", "slowest", "reference", "speedup", "deviation"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for found in measurements:
        times = (f"{value:.1f}" for value in (found.kernel, found.slowest, found.reference))
        ratio = f"{found.reference / found.kernel:.1f}"
        first = f"{found.first_call:.1f}"
        table.add_row(str(found.tasks), found.method, first, *times, ratio, f"{found.deviation:.1e}")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(
            json.dumps([asdict(found) for found in measurements], indent=2) + "\n", encoding="utf-8"
        )


def random_gram(family: str, num: int, seed: int = 0) -> Tensor:
    """Draw a float64 Gram matrix [K, K] of mini-batch gradients, which have one part in common or not."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(num, 4 * num, generator=generator, dtype=torch.float64)
    if family == "clusters":
        rows = 0.05 * rows + rows[torch.arange(num) % 3]
    strength = {"aligned": 0.3, "conflicting": -0.2}.get(family, 0.0)
    rows = rows + strength * rows.mean(0) * num**0.5
    return rows @ rows.T


def _measure(method: str, num: int, device: torch.device) -> Measurement | None:
    aggregator = build_method(method, num).to(device)
    if not isinstance(aggregator, GramAggregator):
        return None
    shares = torch.full((num,), 1 / num, dtype=torch.float64, device=device)
    losses = torch.linspace(0.5, 2, num, device=device)
    grams = [random_gram(family, num).to(device) for family in FAMILIES]
    state = {name: value.clone() for name, value in aggregator.state_dict().items()}

    def weights(gram: Tensor, kernels: bool) -> Tensor:
        aggregator.load_state_dict(state)
        torch.manual_seed(0)
        with torch.no_grad(), nullcontext() if kernels else patch.object(launching, "DEVICES", ()):
            return aggregator.weights(gram, losses, shares)

    begin, end = (_event() for _ in range(2))
    begin.record()
    weights(grams[0], True)
    end.record()
    torch.cuda.synchronize(device)
    first_call = 1e-3 * begin.elapsed_time(end)
    deviation = 0.0
    for gram in grams:
        found, expected = weights(gram, True), weights(gram, False)
        missed = found - expected
        deviation = max(
            deviation, ((missed @ gram @ missed) / (expected @ gram @ expected)).abs().item() ** 0.5
        )

    def replayed(gram: Tensor, kernels: bool) -> float:
        with torch.no_grad(), nullcontext() if kernels else patch.object(launching, "DEVICES", ()):
            return _microseconds(lambda: aggregator.weights(gram, losses, shares), device)

    kernel = [replayed(gram, True) for gram in grams]
    reference = replayed(grams[0], False)
    return Measurement(num, method, first_call, kernel[0], reference, max(kernel), deviation)


def _microseconds(call: Callable[[], object], device: torch.device) -> float:
    """Take the median time of a call in a CUDA graph."""
    call()  # what a first call allocates or compiles
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    graph.replay()
    events = [_event() for _ in range(REPLAYS + 1)]
    events[0].record()
    for event in events[1:]:
        graph.replay()
        event.record()
    torch.cuda.synchronize(device)
    times = [1e3 * first.elapsed_time(second) for first, second in pairwise(events)]
    return sorted(times)[len(times) // 2]


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
