"""Times environments on the learner's device without a learner, by parts of a step."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.timing import interleaved_medians
from mtrl.devices import choose_device, describe_device
from mtrl.envs.metaworld.suite import benchmark
from mtrl.errors import require
from mtrl.training.graphs import Program, Recorder
from mtrl.types import DeviceEnv

SUITES = ("mt10", "mt25", "mt50")


def add_command(commands: Any) -> None:
    """Add ``benchmark.py worlds``."""
    parser = commands.add_parser("worlds", help="environment steps per second in MuJoCo Warp")
    parser.add_argument("--env", choices=SUITES, default="mt10", help="suite (mt10)")
    parser.add_argument("--copies", type=int, default=256, help="worlds of each task (256)")
    parser.add_argument("--repeats", type=int, default=50, help="vector steps (50)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.set_defaults(run=benchmark_worlds)


def benchmark_worlds(arguments: argparse.Namespace) -> None:
    """Run the command and print its table."""
    require(arguments.repeats >= 1, f"--repeats must be at least 1, found {arguments.repeats}")
    device = choose_device(arguments.device)
    suite: Any = benchmark(arguments.env.upper(), seed=0, simulator="warp", copies=arguments.copies)
    env = suite.worlds(device)
    say = Console().print
    recorder = Recorder(device, (), strict=False, say=say) if device.type == "cuda" else None
    env.reset()
    env.action.uniform_(-1, 1)
    parts: dict[str, Callable[[], object]] = {
        "actions": Program(env.act, recorder),
        "physics": partial(_pass_time, env),
        "observations and rewards": Program(partial(env.observe, False), recorder),
    }
    for _ in range(5):  # compile, load and record
        for part in parts.values():
            part()
    found = interleaved_medians(parts, arguments.repeats, device)
    table = Table(title=f"{arguments.env}, {arguments.copies} worlds per task, {describe_device(device)}")
    table.add_column("part")
    table.add_column("ms", justify="right")
    for name, milliseconds in (found | {"a vector step": sum(found.values())}).items():
        table.add_row(name, f"{milliseconds:.2f}")
    say(table)
    steps = 1e3 * suite.spec.num_tasks * env.copies / sum(found.values())
    say(f"{steps:,.0f} environment steps per second", highlight=False)


def _pass_time(env: DeviceEnv) -> None:
    env.simulate()
    env.join()
