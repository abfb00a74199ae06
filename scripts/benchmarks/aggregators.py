"""Times every aggregator on one matrix of gradients:  python scripts/benchmark.py aggregators."""

from __future__ import annotations

import argparse
import inspect
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.timing import interleaved_medians
from mtrl.aggregators import GramAggregator, gram_matrix
from mtrl.aggregators.cagrad import cagrad_multipliers
from mtrl.config.registry import build_method, method_config, method_names, require_methods
from mtrl.devices import choose_device, describe_device
from mtrl.errors import require

BASELINE = "Gram and combine"
CONFLICT = 0.02  # size of the common part relative to each task's own: cosines near zero, of either sign


@dataclass(frozen=True)
class Measurement:
    """The time of one implementation of one method at one number of tasks."""

    tasks: int
    method: str
    implementation: str
    milliseconds: float
    ratio: float  # to the baseline of the same run
    weights_milliseconds: float | None  # of the weights alone, from a Gram matrix that is there already
    gap: float | None  # to the solution, where the method has a criterion


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("aggregators", help="each aggregator on a random matrix of gradients")
    parser.add_argument("--tasks", nargs="+", type=int, default=[10, 50], help="K (10 50)")
    parser.add_argument("--parameters", type=int, default=1_000_000, help="P (1000000)")
    parser.add_argument("--methods", nargs="+", help="configurations (all)")
    parser.add_argument("--repeats", type=int, default=11, help="timings per contender (11)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    parser.set_defaults(run=benchmark_aggregators)


def benchmark_aggregators(arguments: argparse.Namespace) -> None:
    """Print the table, and write it if asked."""
    # The adapter takes the time of the TorchJD method it wraps, which is listed beside ours anyway.
    methods = arguments.methods or [name for name in method_names() if name != "torchjd"]
    require_methods(methods)
    for name in ("parameters", "repeats"):
        require(
            getattr(arguments, name) >= 1, f"--{name} must be at least 1, found {getattr(arguments, name)}"
        )
    require(min(arguments.tasks) >= 2, f"--tasks must be at least 2, found {min(arguments.tasks)}")
    device = choose_device(arguments.device)
    console = Console()
    measurements: list[Measurement] = []
    for tasks in arguments.tasks:
        measurements += _measure(methods, tasks, arguments.parameters, arguments.repeats, device, console)
    table = Table(title=f"P = {arguments.parameters:,} float32, {describe_device(device)}")
    for column in ("K", "method", "by", "median ms", "ratio", "weights ms", "gap"):
        table.add_column(column, justify="left" if column in ("method", "by") else "right", no_wrap=True)
    for found in measurements:
        gap = "" if found.gap is None else f"{found.gap:.1e}"
        alone = "" if found.weights_milliseconds is None else f"{found.weights_milliseconds:.2f}"
        timing = (f"{found.milliseconds:.2f}", f"{found.ratio:.2f}", alone)
        table.add_row(str(found.tasks), found.method, found.implementation, *timing, gap)
    console.print(table)
    console.print(
        f"ratio: to {BASELINE} alone; weights: from a given Gram matrix; gap: mgda ‖d‖² − min⟨g_i, d⟩ "
        "relative to ‖g_0‖², cagrad the duality gap relative to F(uniform), nash_mtl max |α∘Mα − 1| with "
        "mean 1; 0 is optimal"
    )
    if arguments.json:
        arguments.json.write_text(
            json.dumps([asdict(found) for found in measurements], indent=2) + "\n", encoding="utf-8"
        )


def random_gradients(tasks: int, parameters: int, device: torch.device) -> Tensor:
    """Draw gradients [K, P], float32, with norms from a lognormal distribution and conflicts between them."""
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(tasks, parameters, generator=generator)
    gradients += CONFLICT * torch.randn(parameters, generator=generator)
    # In many dimensions random gradients are orthogonal: mixing them gives angles worth solving for.
    mixing = torch.eye(tasks) + 0.5 * torch.randn(tasks, tasks, generator=generator)
    return (torch.randn(tasks, 1, generator=generator).exp() * (mixing @ gradients)).to(device)


def _measure(
    methods: list[str], tasks: int, parameters: int, repeats: int, device: torch.device, console: Console
) -> list[Measurement]:
    gradients = random_gradients(tasks, parameters, device)
    losses = torch.ones(tasks, device=device)
    mean_weights = torch.full_like(losses, 1 / tasks)
    gram, shares = gram_matrix(gradients), mean_weights.double()
    contenders: dict[tuple[str, str], Callable[[], Tensor]] = {}
    weightings: dict[tuple[str, str], Callable[[], Tensor]] = {}
    for name in methods:
        ours = build_method(name, tasks).to(device)
        contenders[name, "mtrl"] = partial(lambda method: method(gradients, losses).vector, ours)
        if isinstance(ours, GramAggregator):
            weightings[name, "mtrl"] = partial(ours.weights, gram, losses, shares)
        theirs = _torchjd(name, tasks, console)
        if theirs is not None:
            contenders[name, "TorchJD"] = partial(theirs.to(device), gradients)
            weighting = _torchjd_weights(theirs, gram)
            if weighting is not None and (name, "mtrl") in weightings:
                weightings[name, "TorchJD"] = weighting

    def baseline() -> Tensor:
        gram_matrix(gradients)
        return mean_weights @ gradients

    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torchjd")  # on cvxpy's compilation
        # Before the timing: TorchJD's Nash-MTL goes on from its last answer when called again.
        gaps = {key: _gap(key[0], call, weightings.get(key), gradients) for key, call in contenders.items()}
        calls = {BASELINE: baseline} | {" ".join(key): call for key, call in contenders.items()}
        medians = interleaved_medians(calls, repeats, device)
        alone = interleaved_medians(
            {" ".join(key): call for key, call in weightings.items()}, repeats, device
        )
    measurements = [Measurement(tasks, BASELINE, "mtrl", medians[BASELINE], 1.0, None, None)]
    for (name, by), gap in gaps.items():
        median, weights = medians[f"{name} {by}"], alone.get(f"{name} {by}")
        measurements.append(Measurement(tasks, name, by, median, median / medians[BASELINE], weights, gap))
    return measurements


def _torchjd(name: str, tasks: int, console: Console) -> Any:
    """Build TorchJD's class of the same name with the same options; ``None`` where there is none."""
    try:
        from torchjd import aggregation
    except ImportError:
        return None
    config = method_config(name)
    kind = getattr(aggregation, config["_target_"].rpartition(".")[2], None)
    if kind is None or not issubclass(kind, aggregation.Aggregator):
        return None
    known = inspect.signature(kind).parameters
    options = {key: value for key, value in config.items() if key in known}
    options |= {"n_tasks": tasks} if "n_tasks" in known else {}
    try:
        return kind(**options)
    except ImportError as error:
        console.print(f"note: TorchJD's {kind.__name__} is left out: {error}", soft_wrap=True)
        return None


def _torchjd_weights(method: Any, gram: Tensor) -> Callable[[], Tensor] | None:
    """TorchJD's weights from a Gram matrix, or ``None`` if the method has none."""
    from torchjd import aggregation

    if isinstance(method, aggregation.GramianWeightedAggregator):
        return partial(method.gramian_weighting, gram)
    if isinstance(method, aggregation.WeightedAggregator):  # reads gradients: K coordinates are enough
        return partial(method.weighting, torch.linalg.cholesky(gram))
    return None


def _gap(
    name: str, call: Callable[[], Tensor], weigh: Callable[[], Tensor] | None, gradients: Tensor
) -> float | None:
    """How far a direction, or for Nash-MTL its weights, are from what the method defines."""
    gradients = gradients.double()
    if name == "nash_mtl" and weigh is not None:
        weights = weigh().double()
        factor = torch.linalg.cholesky(gram_matrix(gradients))  # of one triangle, which is what solvers read
        shared = weights * (factor @ (factor.T @ weights))  # [K], equal at the solution
        return float((shared / shared.mean() - 1).abs().max())
    if name not in ("mgda", "cagrad"):
        return None
    direction = call().double()
    worst = (gradients @ direction).min()
    mean = gradients.mean(0)
    if name == "mgda":
        return float((direction.square().sum() - worst) / mean.square().sum())
    c = float(method_config("cagrad")["c"])
    # Equation 12: F(w) = ⟨g_w, g_0⟩ + c‖g_0‖‖g_w‖ bounds the worst improvement from above.
    along = cagrad_multipliers(gradients @ gradients.T, c) @ gradients
    bound = along @ mean + c * mean.norm() * along.norm()
    return float((bound - worst) / ((1 + c) * mean.square().sum()))
