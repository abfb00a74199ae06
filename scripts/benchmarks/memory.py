"""Measures the peak memory of an update, beside its prediction:  python scripts/benchmark.py memory."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from benchmarks.update import add_problem, contenders, overrides, problems, random_batch
from mtrl.config.build import build_agent, predict_memory, training_config
from mtrl.config.compose import compose_config
from mtrl.devices import choose_device, describe_device
from mtrl.training.compiling import accelerate
from mtrl.types import SuiteSpec

UPDATES = 3


@dataclass(frozen=True)
class Measurement:
    """The peak memory of one agent and its updates, in MB."""

    env: str
    tasks: int
    contender: str
    parameters: int  # P, the larger of actor's and critics'
    gradients: float  # the matrix [K, P]
    predicted: float | None
    measured: float


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("memory", help="peak memory of an agent and its updates")
    add_problem(parser)
    parser.add_argument("--task-chunk", type=int, help="tasks whose gradients are computed at once (all)")
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    parser.set_defaults(run=benchmark_memory)


def benchmark_memory(arguments: argparse.Namespace) -> None:
    """Print the table, and write it if asked."""
    device = choose_device(arguments.device)
    chunk = [] if arguments.task_chunk is None else [f"task_chunk={arguments.task_chunk}"]
    measurements = []
    for env, spec in problems(arguments):
        for agent, method in contenders(arguments):
            options = [*overrides(arguments, agent, method), *chunk, f"batch_size={arguments.batch_size}"]
            config = compose_config(options)
            predicted = predict_memory(config, spec)
            widest, measured = _measure(config, spec, device)
            predicted_mb = None if predicted is None else predicted / 1e6
            matrix = 4e-6 * widest * spec.num_tasks
            measurements.append(
                Measurement(
                    env, spec.num_tasks, f"{agent}, {method}", widest, matrix, predicted_mb, measured / 1e6
                )
            )
    title = f"agent and update, {arguments.batch_size} per task, {describe_device(device)}"
    table = Table(title=title)
    for column in ("suite", "contender", "P", "[K, P] MB", "predicted MB", "measured MB"):
        table.add_column(column, justify="left" if column in ("suite", "contender") else "right")
    for found in measurements:
        sizes = (found.gradients, found.predicted, found.measured)
        cells = ("" if value is None else f"{value:.0f}" for value in sizes)
        table.add_row(found.env, found.contender, f"{found.parameters:,}", *cells)
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(
            json.dumps([asdict(found) for found in measurements], indent=2) + "\n", encoding="utf-8"
        )


def _measure(config: DictConfig, spec: SuiteSpec, device: torch.device) -> tuple[int, int]:
    """Measure the size of the largest gradient, and the peak bytes of an agent and its updates."""
    generator = torch.Generator(device).manual_seed(0)
    batch = random_batch(spec, config.batch_size, device)

    def run() -> Any:
        agent = build_agent(config, spec, device, generator)
        update = accelerate(agent, training_config(config), device, generator)
        for _ in range(UPDATES):
            update(batch, True)
        return agent

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        agent = run()
        measured = torch.cuda.max_memory_allocated(device) - before
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            agent = run()
        results = profiler.profiler.kineto_results  # the only place with every allocation
        changes = [event.nbytes() for event in results.events() if event.name() == "[memory]"]
        measured = max(accumulate(changes), default=0)
    shared = [agent.actor.network.shared.numel(), agent.critic.network.shared.numel()]
    return max(shared), measured
