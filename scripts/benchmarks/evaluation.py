"""Times an evaluation, over the time of its steps alone at the suite's throughput."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from benchmarks.envs import SIZES, worker_count
from mtrl.envs.metaworld.suite import MetaWorldSuite, benchmark
from mtrl.errors import require
from mtrl.training.evaluation import evaluate
from mtrl.types import EvaluationEnv, EvaluationStep, FloatArray

TURNS, STEPS = 8, 25  # in which the throughput is measured, before and after the evaluation


def add_command(commands: Any) -> None:
    """Add ``benchmark.py evaluation``."""
    parser = commands.add_parser("evaluation", help="time of an evaluation over that of its steps alone")
    parser.add_argument("--env", choices=SIZES, default="mt10", help="suite (mt10)")
    parser.add_argument("--workers", default="auto", help="processes for our envs (auto: one per core)")
    parser.add_argument("--episodes", type=int, default=50, help="per task (50, every goal)")
    parser.set_defaults(run=benchmark_evaluation)


def benchmark_evaluation(arguments: argparse.Namespace) -> None:
    """Evaluate random actions and print the ratio; start-up is part of the evaluation."""
    require(arguments.episodes >= 1, f"--episodes must be at least 1, found {arguments.episodes}")
    workers = worker_count(arguments.workers, SIZES[arguments.env])
    suite = benchmark(arguments.env.upper(), seed=0, workers=workers)
    turns = _vector_steps(suite)
    torch.manual_seed(0)
    with closing(_Counting(suite.evaluation_env())) as env:
        begin = time.perf_counter()
        found = evaluate(_Random(), env, suite.spec, arguments.episodes, torch.device("cpu"))
        taken = time.perf_counter() - begin
    turns += _vector_steps(suite)
    throughput = suite.spec.num_tasks / statistics.median(turns)
    Console().print(
        f"{arguments.env}, {found.success.size} episodes of random actions, {env.steps:,} steps: "
        f"{taken:.1f} s; {workers} workers make {throughput:.0f} steps/s; "
        f"evaluation / steps alone = {taken * throughput / env.steps:.2f}",
        soft_wrap=True,
    )


def _vector_steps(suite: MetaWorldSuite) -> list[float]:
    """Time vector steps in seconds, as means of each turn; the first one warms up."""
    rng = np.random.default_rng(0)
    times = []
    with closing(suite.training_env()) as env:
        env.reset()
        for _ in range(TURNS + 1):
            actions = rng.uniform(-1, 1, (STEPS, suite.spec.num_tasks, 1, 4)).astype(np.float32)
            begin = time.perf_counter()
            for action in actions:
                env.step(action)
            times.append((time.perf_counter() - begin) / STEPS)
    return times[1:]


class _Random:
    """A policy of uniform actions."""

    def act(self, obs: Tensor, deterministic: bool) -> Tensor:
        return 2 * torch.rand(*obs.shape[:2], 4) - 1


class _Counting:
    """Evaluation slots that count the steps made in them."""

    def __init__(self, inner: EvaluationEnv) -> None:
        self.inner = inner
        self.slots = inner.slots
        self.steps = 0

    def advance(
        self, starts: Mapping[int, tuple[int, int]], actions: Mapping[int, FloatArray]
    ) -> EvaluationStep:
        self.steps += len(actions)
        return self.inner.advance(starts, actions)

    def close(self) -> None:
        self.inner.close()
