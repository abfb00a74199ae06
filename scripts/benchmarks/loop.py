"""Times the parts of a training step:  python scripts/benchmark.py loop --env mt10 --hidden 128 128."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from mtrl.config.build import resolve
from mtrl.config.compose import compose_config
from mtrl.config.parts import Parts, build_parts
from mtrl.devices import choose_device, describe_device
from mtrl.errors import require
from mtrl.products import float32_products
from mtrl.runs.directory import RunDirectory
from mtrl.training.progress import Display
from mtrl.training.threads import choose_threads, flop_of_update, threads
from mtrl.training.trainer import Trainer

SUITES = ("point_mass", "mt10", "mt25", "mt50")
STEP = "_step"
PARTS = {  # of the trainer's step, by what it calls; a call's time is what calls within it leave
    "act": ("_act",),
    "send": ("env.send",),
    "sample": ("replay.sample",),
    "update": ("_learn",),
    "receive": ("_receive",),
    "store": ("replay.add", "learning.store"),
    "log": ("logger.add", "guard.remember", "guard.judge", "episodes.add", "display.advance", "_log"),
    "other": (STEP,),
}
WARM_UP = 30  # steps with updates, before any is timed


def add_command(commands: Any) -> None:
    """Add ``benchmark.py loop``."""
    parser = commands.add_parser("loop", help="microseconds of a whole training step, by part")
    parser.add_argument("--env", choices=SUITES, default="point_mass", help="suite (point_mass)")
    parser.add_argument("--workers", default="auto", help="processes that step Meta-World (auto)")
    parser.add_argument("--copies", type=int, default=1, help="environments per task (1)")
    parser.add_argument("--agent", default="sac", help="a configuration (sac)")
    parser.add_argument("--aggregator", default="cagrad", help="a configuration (cagrad)")
    parser.add_argument("--hidden", nargs="+", type=int, default=[400] * 3, help="widths (400 400 400)")
    parser.add_argument("--batch-size", type=int, default=128, help="transitions per task (128)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--options", nargs="*", default=[], help="of train.py, such as compile=auto")
    parser.add_argument("--steps", type=int, default=100, help="steps timed by part, and as a whole (100)")
    parser.add_argument(
        "--log-interval", type=int, default=50, help="steps between two entries of the log (50)"
    )
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    parser.set_defaults(run=benchmark_loop)


def benchmark_loop(arguments: argparse.Namespace) -> None:
    """Print a table, and write it if asked."""
    for name in ("steps", "log_interval"):
        value = getattr(arguments, name)
        require(value >= 1, f"--{name.replace('_', '-')} must be at least 1, found {value}")
    overrides = _overrides(arguments)
    config, device = resolve(compose_config(overrides), overrides), choose_device(arguments.device)
    console = Console()
    with ExitStack() as stack:
        parts = build_parts(config, device)
        stack.enter_context(threads(_thread_count(parts, config.threads)))
        count = torch.get_num_threads()
        products = stack.enter_context(float32_products(device))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        trainer = _trainer(parts, Path(folder), stack)
        steps = WARM_UP + trainer.config.warmup_steps
        _seconds(trainer, steps, arguments.log_interval)
        whole = _seconds(trainer, arguments.steps, arguments.log_interval)
        found, calls = _by_part(trainer, arguments.steps, arguments.log_interval)
        where = trainer.env.summary()
    by_part = sum(found.values())
    table = Table(
        title=f"one step of {arguments.env}, {trainer.env.copies} per task, {arguments.agent}, "
        f"{arguments.aggregator}, {arguments.batch_size} per task in an update, {describe_device(device)}, "
        f"{products.name}, {count} thread(s)"
    )
    for column in ("part", "us", "share", "calls"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, seconds in found.items():
        table.add_row(name, f"{1e6 * seconds:.0f}", f"{seconds / by_part:.1%}", f"{calls[name]:.1f}")
    table.add_row("together", f"{1e6 * by_part:.0f}", "", "")
    table.add_row("without waiting between parts", f"{1e6 * whole:.0f}", "", "")
    console.print(where, highlight=False)
    console.print(table)
    if arguments.json:
        record = {"parts": found, "together": by_part, "whole": whole, "device": describe_device(device)}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _thread_count(parts: Parts, wanted: Any) -> int:
    """Return what a run would have."""
    flop = flop_of_update(
        sum(parts.agent.parameter_counts().values()), parts.suite.spec.num_tasks * parts.training.batch_size
    )
    workers = getattr(parts.suite, "workers", 0)
    return choose_threads(wanted, device=parts.device, flop=flop, workers=workers)


def _overrides(arguments: argparse.Namespace) -> list[str]:
    workers = [] if arguments.env == "point_mass" else [f"env.workers={arguments.workers}"]
    return [
        f"env={arguments.env}",
        f"env.copies={arguments.copies}",
        *workers,
        f"agent={arguments.agent}",
        f"aggregator={arguments.aggregator}",
        f"agent.network.hidden=[{','.join(map(str, arguments.hidden))}]",
        f"batch_size={arguments.batch_size}",
        "warmup_steps=20",
        "replay_capacity=20000",
        *arguments.options,
    ]


def _trainer(parts: Parts, folder: Path, stack: ExitStack) -> Trainer:
    """Make a trainer that writes to ``folder``, ready to step; ``stack`` ends what it starts."""
    files = stack.enter_context(closing(RunDirectory(folder / "run")))
    files.claim()
    display = stack.enter_context(Display(Console(quiet=True), parts.training.steps_per_task))
    trainer = Trainer(
        parts.suite, parts.agent, parts.training, files, display, parts.device, parts.generator, parts.rng
    )
    for part in (trainer.logger, trainer.env, trainer.evaluation_env):
        stack.callback(part.close)
    trainer.obs = trainer.env.reset()
    return trainer


def _seconds(trainer: Trainer, steps: int, log_interval: int) -> float:
    """Return the seconds of a step: the mean of many, so that a device may lag behind its host."""
    _wait(trainer.device)
    begin = time.perf_counter()
    _run(trainer, steps, log_interval)
    _wait(trainer.device)
    return (time.perf_counter() - begin) / steps


def _run(trainer: Trainer, steps: int, log_interval: int) -> None:
    """Step as the trainer's loop does, without evaluations and checkpoints."""
    since, updates = time.perf_counter(), trainer.updates
    for step in range(1, steps + 1):
        trainer._step()
        if step % log_interval == 0:
            elapsed = time.perf_counter() - since
            trainer._log(elapsed, log_interval * trainer.env.copies, trainer.updates - updates)
            since, updates = time.perf_counter(), trainer.updates


def _by_part(trainer: Trainer, steps: int, log_interval: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds of a step by part, and the calls; a part ends when the device has done its work."""
    seconds: dict[str, list[float]] = defaultdict(list)
    within = [0.0]  # seconds of calls inside the calls that are open

    def timing(name: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        _wait(trainer.device)
        begin = time.perf_counter()
        within.append(0.0)
        try:
            return call(*arguments, **options)
        finally:
            _wait(trainer.device)
            taken = time.perf_counter() - begin
            seconds[name].append(taken - within.pop())
            within[-1] += taken

    with ExitStack() as stack:
        for paths in PARTS.values():
            for path in paths:
                stack.enter_context(_wrapped(trainer, path, partial(timing, path)))
        _run(trainer, steps, log_interval)
    # The median of a call, so that what disturbs a few does not count; the parts of a step add up.
    each = {path: statistics.median(times) * len(times) / steps for path, times in seconds.items()}
    parts = {name: sum(each.get(path, 0.0) for path in paths) for name, paths in PARTS.items()}
    calls = {name: sum(len(seconds[path]) for path in paths) / steps for name, paths in PARTS.items()}
    return parts, calls


@contextmanager
def _wrapped(root: Any, path: str, wrapper: Callable[..., Any]) -> Iterator[None]:
    """Pass calls of the method at a dotted path through ``wrapper``, where there is such a method."""
    *places, name = path.split(".")
    for place in places:
        root = getattr(root, place, None)
    method = getattr(root, name, None)
    if method is None:
        yield
        return
    setattr(root, name, partial(wrapper, method))
    try:
        yield
    finally:
        delattr(root, name)


def _wait(device: torch.device) -> None:
    # Where a graph is being recorded, nothing may wait.
    if device.type == "cuda" and not torch.cuda.is_current_stream_capturing():
        torch.cuda.synchronize(device)
