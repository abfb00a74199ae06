"""Time what a researcher waits for:  python scripts/benchmark.py update --env mt10 mt50."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from agents.losses import CriticRows, critic_loss
from agents.sac import SAC
from mtrl.devices import choose_device, describe_device
from mtrl.errors import UsageError
from mtrl.types import SuiteSpec, Transition
from scripts import benchmark_aggregators, benchmark_envs, benchmark_evaluation
from scripts.assembly import build_agent
from scripts.command_line import compose_config, run_program
from scripts.timing import interleaved_medians

SIZES = {"mt10": 10, "mt25": 25, "mt50": 50}
BASELINE = "mean"


@dataclass(frozen=True)
class Row:
    """Median time of one contender on one suite size."""

    env: str
    contender: str
    milliseconds: float
    ratio: float  # to the baseline of the same run


def main() -> None:
    """Entry point of ``mtrl-benchmark``."""
    parser = argparse.ArgumentParser(description="Benchmarks, as medians and ratios within one run.")
    commands = parser.add_subparsers(required=True, dest="command")
    update = commands.add_parser("update", help="one full agent update with each aggregator")
    update.add_argument("--env", nargs="+", choices=SIZES, default=["mt10"], help="suite sizes (mt10)")
    update.add_argument("--agents", nargs="+", default=["sac"], help="configurations (sac)")
    update.add_argument("--aggregators", nargs="+", default=["cagrad"], help="of the first agent (cagrad)")
    update.add_argument("--batch-size", type=int, default=128, help="transitions per task (128)")
    update.add_argument("--repeats", type=int, default=11, help="timings per contender (11)")
    update.add_argument("--full-passes", action="store_true", help="also K backward passes (slow on mt50)")
    update.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    update.add_argument("--json", type=Path, help="also write the rows to this file")
    update.set_defaults(run=_benchmark_update)
    benchmark_aggregators.add_command(commands)
    benchmark_envs.add_command(commands)
    benchmark_evaluation.add_command(commands)
    arguments = parser.parse_args()
    run_program(partial(arguments.run, arguments))


def _benchmark_update(arguments: argparse.Namespace) -> None:
    device = choose_device(arguments.device)
    rows: list[Row] = []
    for env in arguments.env:
        contenders = _contenders(env, arguments, device)
        medians = interleaved_medians(contenders, arguments.repeats, device)
        rows += [Row(env, name, median, median / medians[BASELINE]) for name, median in medians.items()]
    table = Table(
        title=f"one update, {arguments.agents[0]}, {arguments.batch_size} per task, {describe_device(device)}"
    )
    for column in ("suite", "contender", "median ms", f"/ {BASELINE}"):
        table.add_column(column, justify="left" if column in ("suite", "contender") else "right")
    for row in rows:
        table.add_row(row.env, row.contender, f"{row.milliseconds:.1f}", f"{row.ratio:.2f}")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps([vars(row) for row in rows], indent=2) + "\n")


def _contenders(
    env: str, arguments: argparse.Namespace, device: torch.device
) -> dict[str, Callable[[], Any]]:
    num_tasks = SIZES[env]
    names = tuple(f"task-{index}" for index in range(num_tasks))
    spec = SuiteSpec(names, obs_size=39, action_size=4, horizon=500, num_goals=50)
    batch = _random_batch(spec, arguments.batch_size, device)
    contenders: dict[str, Callable[[], Any]] = {}
    first, *others = arguments.agents
    runs = [(first, BASELINE), *((first, name) for name in arguments.aggregators if name != BASELINE)]
    for agent_name, method in [*runs, *((name, BASELINE) for name in others)]:
        config = compose_config([f"agent={agent_name}", f"aggregator={method}"])
        agent = build_agent(config, spec, device, torch.Generator(device).manual_seed(0))
        name = method if agent_name == first else f"{agent_name}, {method}"
        contenders[name] = partial(agent.update, batch, diagnose=False)
        if arguments.full_passes and name == BASELINE:
            if not isinstance(agent, SAC):
                raise UsageError(f"--full-passes needs agent=sac, found {type(agent).__name__}")
            contenders["critic gradients, sliced"] = partial(_sliced_gradients, agent, batch)
            contenders["critic gradients, K full passes"] = partial(_full_pass_gradients, agent, batch)
    return contenders


def _sliced_gradients(agent: SAC, batch: Transition) -> None:
    """This project's critic gradients: the batch sliced by task before the forward pass."""
    with torch.no_grad():
        agent.critic_gradients(agent.critic_rows(batch, batch.reward, agent.temperature.alpha()))


def _full_pass_gradients(agent: SAC, batch: Transition) -> list[torch.Tensor]:
    """The published way: one joint forward pass, then a backward pass over the joint batch for each task."""
    network = agent.critic.network
    rows = agent.critic_rows(batch, batch.reward, agent.temperature.alpha())

    def loss(own: torch.Tensor, rows: CriticRows) -> torch.Tensor:
        return critic_loss(partial(network.apply_with, network.shared, own), agent.value, rows)[0]

    losses = torch.func.vmap(loss)(network.own, rows)
    return [torch.autograd.grad(task, network.shared, retain_graph=True)[0] for task in losses]


def _random_batch(spec: SuiteSpec, batch_size: int, device: torch.device) -> Transition:
    generator = torch.Generator().manual_seed(0)
    shape = (spec.num_tasks, batch_size)
    fields = (
        torch.randn(*shape, spec.obs_size, generator=generator),
        torch.randn(*shape, spec.action_size, generator=generator).tanh(),
        torch.randn(shape, generator=generator),
        torch.randn(*shape, spec.obs_size, generator=generator),
        torch.zeros(shape, dtype=torch.bool),
    )
    return Transition(*(field.to(device) for field in fields))


if __name__ == "__main__":
    main()
