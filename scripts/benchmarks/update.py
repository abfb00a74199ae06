"""Times one full update of an agent:  python scripts/benchmark.py update --env mt10."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.gemm_baseline import update_products
from benchmarks.joint_backward_baseline import METHODS, joint_backward_aggregator, use_joint_backward
from benchmarks.measurement import BASELINE, GEMM_BASELINE, XLA, measured, table_of
from benchmarks.profiling import profiled
from benchmarks.timing import interleaved_medians, timed
from benchmarks.xla import PRECISIONS, XlaUpdate, describe_xla
from mtrl.agents.sac import SAC
from mtrl.config.build import build_agent, training_config
from mtrl.config.compose import compose_config
from mtrl.devices import choose_device, describe_device
from mtrl.errors import require
from mtrl.products import NATIVE, ONEDNN, by, float32_products
from mtrl.training.compiling import accelerate
from mtrl.types import SuiteSpec, Transition

SIZES = {"mt10": 10, "mt25": 25, "mt50": 50}
COMPILE = "compile"
UNCHANGED = ("compile=false", "precision=fp32", "cudagraphs=false")  # what a variant changes
VARIANTS = {
    COMPILE: "compile=true",
    "bf16": "precision=bf16",
    "tf32": "precision=tf32",
    "cudagraphs": "cudagraphs=true",
    "rows": "gradients=rows",
}
PRODUCTS = {"mkl": NATIVE, "onednn": ONEDNN}  # variants of what multiplies on a CPU


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("update", help="one full agent update with each aggregator")
    add_problem(parser)
    parser.add_argument("--repeats", type=int, default=11, help="timings per contender (11)")
    parser.add_argument(
        "--published",
        nargs="*",
        default=[],
        metavar="METHOD",
        help=f"also as published: {' '.join(METHODS)}",
    )
    parser.add_argument(
        "--variants",
        nargs="*",
        default=[],
        metavar="VARIANT",
        help=f"also each aggregator with {', '.join([*VARIANTS, *PRODUCTS])}, or several joined by +",
    )
    parser.add_argument(
        "--xla",
        action="store_true",
        help="also the mean's update as a plain JAX program, with as many threads as PyTorch has. Variables "
        "that are set before have the last word: JAX_PLATFORMS, XLA_FLAGS, PJRT_NPROC (CPU threads), "
        "XLA_PYTHON_CLIENT_PREALLOCATE (false, so that both fit a GPU)",
    )
    parser.add_argument(
        "--xla-precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="of JAX's products: default is TF32 on recent GPUs (default)",
    )
    parser.add_argument("--profile", action="store_true", help="also where the time of each contender goes")
    parser.add_argument(
        "--launches", action="store_true", help="count device operations, of every aggregator, instead"
    )
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    parser.set_defaults(run=_run)


def add_problem(parser: argparse.ArgumentParser) -> None:
    """Add the options that all benchmarks of updates share: what is updated."""
    parser.add_argument("--env", nargs="+", choices=SIZES, default=["mt10"], help="suite sizes (mt10)")
    parser.add_argument("--tasks", nargs="+", type=int, help="numbers of tasks, instead of --env")
    parser.add_argument("--agents", nargs="+", default=["sac"], help="configurations (sac)")
    parser.add_argument("--aggregators", nargs="+", default=["cagrad"], help="of the first agent (cagrad)")
    parser.add_argument("--batch-size", type=int, default=128, help="transitions per task (128)")
    parser.add_argument("--hidden", nargs="+", type=int, help="widths of hidden layers, instead of 3 x 400")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")


def problems(arguments: argparse.Namespace) -> list[tuple[str, SuiteSpec]]:
    """List suites of Meta-World's sizes, by name."""
    for name in ("batch_size", *(("repeats",) if "repeats" in arguments else ())):
        value = getattr(arguments, name)
        require(value >= 1, f"--{name.replace('_', '-')} must be at least 1, found {value}")
    named = [(f"K={count}", count) for count in arguments.tasks or []]
    sizes = named or [(name, SIZES[name]) for name in arguments.env]
    require(min(count for _, count in sizes) >= 1, f"--tasks must be at least 1, found {arguments.tasks}")
    return [
        (name, SuiteSpec(tuple(f"task-{index}" for index in range(count)), 39, 4, 500, 50))
        for name, count in sizes
    ]


def overrides(arguments: argparse.Namespace, agent: str, method: str) -> list[str]:
    """Write the overrides for one contender."""
    hidden = "" if arguments.hidden is None else ",".join(map(str, arguments.hidden))
    widths = [f"agent.network.hidden=[{hidden}]"] if hidden else []
    return [f"agent={agent}", f"aggregator={method}", *widths, *UNCHANGED]


def contenders(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Pair agents with aggregators: the first agent with all of them, the others with the mean."""
    first, *others = arguments.agents
    methods = dict.fromkeys([BASELINE, *arguments.aggregators])
    return [*((first, method) for method in methods), *((name, BASELINE) for name in others)]


def random_batch(spec: SuiteSpec, batch_size: int, device: torch.device) -> Transition:
    """Draw a batch; what it holds does not change what an update costs."""
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


def _run(arguments: argparse.Namespace) -> None:
    from benchmarks.launches import benchmark_launches  # which needs this module

    (benchmark_launches if arguments.launches else benchmark_update)(arguments)


def benchmark_update(arguments: argparse.Namespace) -> None:
    """Print the table, and write it if asked."""
    device = choose_device(arguments.device)
    with float32_products(device) as products:
        _benchmark(arguments, device, products.name)


def _benchmark(arguments: argparse.Namespace, device: torch.device, products: str) -> None:
    console, found = Console(), []
    for env, spec in problems(arguments):
        calls, flop = _calls(spec, arguments, device)
        # A contender is one more kind of arguments to the same function, of which PyTorch allows eight.
        with torch._dynamo.config.patch(cache_size_limit=len(calls)):
            torch.compiler.reset()  # another suite's graphs
            compiling = _first_calls(calls, device)
            if isinstance(program := calls.get(XLA), XlaUpdate):
                console.print(f"{XLA}: {describe_xla(program, arguments.xla_precision)}", highlight=False)
            medians = interleaved_medians(calls, arguments.repeats, device)
        if GEMM_BASELINE in medians:
            rate = flop / medians[GEMM_BASELINE] / 1e6
            console.print(f"{env}: {flop / 1e9:.1f} GFLOP in an update, products alone {rate:.0f} GFLOP/s")
        if compiling:
            seconds = "; ".join(f"{name} {value:.0f}" for name, value in compiling.items())
            console.print(f"{env}: seconds of the first update: {seconds}")
        found += measured(env, spec.num_tasks, medians, compiling)
        if arguments.profile:
            for name, call in ((name, call) for name, call in calls.items() if name != XLA):
                console.print(profiled(f"{env}, {name}", call, device))
    title = (
        f"one update, {arguments.agents[0]}, {arguments.batch_size} per task, "
        f"{describe_device(device)}, {products}, {torch.get_num_threads()} thread(s)"
    )
    console.print(table_of(found, title, beside_xla=arguments.xla))
    if arguments.json:
        arguments.json.write_text(
            json.dumps([asdict(each) for each in found], indent=2) + "\n", encoding="utf-8"
        )


def _first_calls(calls: dict[str, Callable[[], Any]], device: torch.device) -> dict[str, float]:
    """Time, in seconds, the first call of each contender that is compiled."""
    compiled = {
        name: call for name, call in calls.items() if name == XLA or COMPILE in re.split(r", |\+", name)
    }
    return {name: timed(call, device) for name, call in compiled.items()}


def _calls(
    spec: SuiteSpec, arguments: argparse.Namespace, device: torch.device
) -> tuple[dict[str, Callable[[], Any]], float]:
    """Prepare each contender's update; count the FLOP of the matrix products where those run too."""
    batch = random_batch(spec, arguments.batch_size, device)
    first = arguments.agents[0]
    calls: dict[str, Callable[[], Any]] = {}

    def add(name: str, agent: str, method: str, *options: str) -> None:
        calls[name] = partial(
            updating(spec, device, [*overrides(arguments, agent, method), *options]), batch, False
        )

    for agent, method in contenders(arguments):
        add(method if agent == first else f"{agent}, {method}", agent, method)
    for variant in arguments.variants:
        parts = variant.split("+")
        unknown = [part for part in parts if part not in VARIANTS | PRODUCTS]
        known = ", ".join([*VARIANTS, *PRODUCTS])
        require(not unknown, f"--variants must be of {known}, found {', '.join(unknown)}")
        for method in dict.fromkeys([BASELINE, *arguments.aggregators]):
            name = f"{method}, {variant}"
            add(name, first, method, *(VARIANTS[part] for part in parts if part in VARIANTS))
            for part in (part for part in parts if part in PRODUCTS):
                calls[name] = partial(_multiplied, PRODUCTS[part], calls[name])
    for method in arguments.published:
        plain = _plain(spec, device, overrides(arguments, first, BASELINE))
        published = [joint_backward_aggregator(method, spec.num_tasks) for _ in range(2)]
        calls[f"{method}, as published"] = partial(use_joint_backward(plain, *published).update, batch, False)
    agent = built(spec, device, overrides(arguments, first, BASELINE))
    if arguments.xla:
        calls[XLA] = XlaUpdate(agent, batch, arguments.xla_precision)
    products = update_products(agent, arguments.batch_size) if isinstance(agent, SAC) else None
    if products is None:
        return calls, 0.0
    return calls | {GEMM_BASELINE: products[0]}, products[1]


def _multiplied(name: str, call: Callable[[], Any]) -> None:
    with by(name):
        call()


def built(spec: SuiteSpec, device: torch.device, options: list[str]) -> Any:
    """Build the agent that ``options`` configure."""
    generator = torch.Generator(device).manual_seed(0)
    return build_agent(compose_config(options), spec, device, generator)


def updating(spec: SuiteSpec, device: torch.device, options: list[str]) -> Callable[..., Any]:
    """Return the update of the agent that ``options`` configure, computed as they say."""
    config, generator = compose_config(options), torch.Generator(device).manual_seed(0)
    agent = build_agent(config, spec, device, generator)
    return accelerate(agent, training_config(config), device, generator)


def _plain(spec: SuiteSpec, device: torch.device, options: list[str]) -> SAC:
    agent = built(spec, device, options)
    require(
        isinstance(agent, SAC) and agent.actor.network.shared.numel() > 0,
        f"--published needs a SAC agent with shared parameters, found {type(agent).__name__}",
    )
    assert isinstance(agent, SAC)
    return agent
