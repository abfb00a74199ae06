"""Times Meta-World's steps, in this project's vector environments and in the library's own."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from mtrl.envs.counts import choose_workers
from mtrl.envs.metaworld.suite import MetaWorldSuite, benchmark
from mtrl.envs.suite import SuiteTrainingEnv
from mtrl.errors import require
from mtrl.types import FloatArray

SIZES = {"mt10": 10, "mt25": 25, "mt50": 50}
BASELINE = "AsyncVectorEnv"

VectorStep = Callable[[FloatArray], Any]  # actions [K, A]


@dataclass(frozen=True)
class Measurement:
    """The speed of one contender on one suite."""

    env: str
    contender: str
    start_seconds: float  # from the call that builds it to the first observations
    steps_per_second: float | None  # of all tasks together, median
    ratio: float | None  # to AsyncVectorEnv in the same turn, median
    loop_ratio: float | None  # time of a loop step with a learner as slow as the environments, to that time


def add_command(commands: Any) -> None:
    """Add ``benchmark.py envs``."""
    parser = commands.add_parser("envs", help="environment steps per second, beside Meta-World's own")
    parser.add_argument("--env", nargs="+", choices=SIZES, default=["mt10"], help="suites (mt10)")
    parser.add_argument("--workers", default="auto", help="processes for our envs (auto: one per core)")
    parser.add_argument("--steps", type=int, default=50, help="vector steps per turn (50)")
    parser.add_argument("--repeats", type=int, default=15, help="turns per contender (15)")
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    parser.set_defaults(run=benchmark_envs)


def benchmark_envs(arguments: argparse.Namespace) -> None:
    """Run the command and print its table."""
    for name in ("steps", "repeats"):
        value = getattr(arguments, name)
        require(value >= 1, f"--{name} must be at least 1, found {value}")
    measurements: list[Measurement] = []
    for env in arguments.env:
        measurements += _benchmark_suite(env, arguments)
    table = Table(title=f"environment steps, medians of {arguments.repeats} turns of {arguments.steps}")
    for column in ("suite", "contender", "start s", "steps/s", "/ async", "loop / max"):
        left = column in ("suite", "contender")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    for found in measurements:
        figures = (found.steps_per_second, found.ratio, found.loop_ratio)
        shown = (
            "" if figure is None else format(figure, spec)
            for figure, spec in zip(figures, (".0f", ".2f", ".2f"), strict=True)
        )
        table.add_row(found.env, found.contender, f"{found.start_seconds:.1f}", *shown)
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(
            json.dumps([vars(found) for found in measurements], indent=2) + "\n", encoding="utf-8"
        )


def _benchmark_suite(env: str, arguments: argparse.Namespace) -> list[Measurement]:
    workers = worker_count(arguments.workers, SIZES[env])
    suites = {
        "in process": benchmark(env.upper(), seed=0, workers=0),
        "in process, fast=false": benchmark(env.upper(), seed=0, workers=0, fast=False),
        f"{workers} workers": benchmark(env.upper(), seed=0, workers=workers),
    }
    single = "1 worker, learner as slow"
    with ExitStack() as stack:
        starts: dict[str, float] = {}
        contenders: dict[str, VectorStep] = {}
        for name, suite in suites.items():
            starts[name], ours = _open(suite, stack)
            contenders[name] = partial(_step, ours)
        for name, strategy in (("SyncVectorEnv", "sync"), (BASELINE, "async")):
            starts[name], library = _open_library(env.upper(), strategy, stack)
            contenders[name] = library.step
        starts[single], lone = _open(benchmark(env.upper(), seed=0, workers=1), stack)
        rng = np.random.default_rng(0)
        times: dict[str, list[float]] = {name: [] for name in contenders}
        loops = []
        for repeat in range(arguments.repeats + 1):
            actions = rng.uniform(-1, 1, (arguments.steps, SIZES[env], 4)).astype(np.float32)
            for name, step in contenders.items():
                begin = time.perf_counter()
                for action in actions:
                    step(action)
                times[name].append(time.perf_counter() - begin)
            loops.append(_loop_ratio(lone, actions))
            if repeat == 0:  # the first turn warms up
                loops.clear()
                for values in times.values():
                    values.clear()
    steps = arguments.steps * SIZES[env]
    throughputs = {name: steps / statistics.median(turns) for name, turns in times.items()}
    measurements = [
        Measurement(env, name, starts[name], throughputs[name], _ratio(times[BASELINE], turns), None)
        for name, turns in times.items()
    ]
    return [*measurements, Measurement(env, single, starts[single], None, None, statistics.median(loops))]


def _ratio(baseline: list[float], turns: list[float]) -> float:
    # Turn by turn, since a shared machine is slower in one minute than in the next.
    return statistics.median(slow / fast for slow, fast in zip(baseline, turns, strict=True))


def _step(env: SuiteTrainingEnv, action: FloatArray) -> None:
    env.step(action[:, None])


def _loop_ratio(env: SuiteTrainingEnv, actions: FloatArray) -> float:
    """Time a step of the training loop, over the time of either of its two parts, which are equally long."""
    begin = time.perf_counter()
    for action in actions:
        env.step(action[:, None])
    alone = (time.perf_counter() - begin) / len(actions)
    begin = time.perf_counter()
    for action in actions:
        env.send(action[:, None])
        learnt = time.perf_counter() + alone
        while time.perf_counter() < learnt:  # busy, as a learner on the other core is
            pass
        env.receive()
    return (time.perf_counter() - begin) / len(actions) / alone


def _open(suite: MetaWorldSuite, stack: ExitStack) -> tuple[float, SuiteTrainingEnv]:
    begin = time.perf_counter()
    env = stack.enter_context(closing(suite.training_env()))
    env.reset()
    return time.perf_counter() - begin, env


def _open_library(name: str, strategy: str, stack: ExitStack) -> tuple[float, Any]:
    import gymnasium
    import metaworld  # noqa: F401  registers the environments

    begin = time.perf_counter()
    env: Any = gymnasium.make_vec(f"Meta-World/{name}", vector_strategy=strategy, seed=0)
    stack.callback(env.close)
    env.reset()
    return time.perf_counter() - begin, env


def worker_count(text: str, environments: int) -> int:
    """Read ``--workers`` as a number of at least 1.

    Raises:
        UsageError: for anything but auto and an integer from 0 to the number of environments.
    """
    count = int(text) if text.lstrip("-").isdigit() else text
    return max(1, choose_workers(count, environments))
