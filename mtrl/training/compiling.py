"""Makes updates faster or smaller: compiled, in lower precision, in chunks, as CUDA graphs."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch

from mtrl.errors import UsageError, require
from mtrl.training.config import Compile, TrainingConfig
from mtrl.types import Agent, Metrics, Transition

Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]
Update = Callable[[Transition, bool], Metrics]

WARM_UP = 3  # updates before a graph is recorded: libraries and optimisers allocate at their first calls


class Accelerable(Protocol):
    """An agent that can be told how to compute its updates."""

    def accelerate(self, compiler: Compiler | None, dtype: torch.dtype | None, chunk: int | None) -> None:
        """Choose how updates are computed.

        Args:
            compiler: for the functions that compute per-task gradients, targets included; None for
                eager. Not for aggregation: a product and a sum over [K, P] are library calls already, and a
                solver unrolled into a thousand operations on [K, K] takes a compiler many minutes.
            dtype: the type of the networks' passes; None for that of the parameters.
            chunk: how many tasks' gradients are computed at once; None for all.
        """


def accelerate(
    agent: Agent, config: TrainingConfig, device: torch.device, generator: torch.Generator | None
) -> Update:
    """Return the agent's update as ``compile``, ``precision``, ``gradients`` ... ask for it.

    None of this is state: no checkpoint holds it, and a run can be resumed with other options.

    Args:
        agent: changed in place.
        config: the run's options.
        device: where the agent lives.
        generator: the one that the agent draws from.

    Raises:
        UsageError: for an option that the device or the agent does not offer.
    """
    for name, wanted in (("precision=tf32", config.precision == "tf32"), ("cudagraphs", config.cudagraphs)):
        require(
            not wanted or device.type == "cuda",
            f"{name} needs a CUDA device, found {device.type}; leave it out here",
        )
    # The one place where the process-wide switch is set. Gram matrices stay out of its reach.
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if config.precision == "tf32" else "highest")
    dtype = torch.bfloat16 if config.precision == "bf16" else None
    configure = getattr(agent, "accelerate", None)
    compiling = compiles(config.compile, agent)
    if compiling or dtype is not None or config.task_chunk is not None:
        if configure is None:
            raise UsageError(
                f"compile, precision=bf16 and task_chunk need an agent with a method accelerate, see "
                f"mtrl.training.compiling.Accelerable; {type(agent).__name__} has none"
            )
        configure(compiled if compiling else None, dtype, config.task_chunk)
    if hasattr(agent, "choose_gradients"):
        agent.choose_gradients(config.gradients)
    else:
        require(
            config.gradients == "auto",
            f"gradients={config.gradients} needs an agent with a method choose_gradients; "
            f"{type(agent).__name__} has none",
        )
    return agent.update if not config.cudagraphs else GraphedUpdate(agent.update, device, generator)


def compiles(wanted: Compile, agent: Agent) -> bool:
    """Whether the agent's gradients are to be compiled.

    Args:
        wanted: ``auto`` compiles if the agent can be compiled and this machine has what PyTorch needs for it.
        agent: with or without a method ``accelerate``.

    Raises:
        UsageError: for ``True`` where this machine lacks something.
    """
    missing = []
    if wanted:
        from torch._inductor.cpp_builder import get_cpp_compiler  # takes seconds to import
        from torch._inductor.exc import InvalidCxxCompiler

        try:
            get_cpp_compiler()
        except InvalidCxxCompiler:
            missing.append("a C++ compiler: g++, or the one that the variable CXX names")
        if not Path(sysconfig.get_path("include"), "Python.h").is_file():
            missing.append("Python's headers, in packages often called python3-dev")
    require(
        wanted == "auto" or not missing,
        f"compile=true needs {' and '.join(missing)}; found none: install it, or leave compile out",
    )
    return bool(wanted) and not missing and (wanted is True or hasattr(agent, "accelerate"))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` as one graph, at its first call for arguments of these shapes.

    PyTorch caches the result on disk; the same function compiles faster in the next process.

    Raises:
        UsageError: at that call, if it cannot be one graph.
    """
    graph = torch.compile(function, fullgraph=True, dynamic=False)

    def call(*arguments: Any) -> Any:
        try:
            return graph(*arguments)
        except (torch._dynamo.exc.Unsupported, torch._dynamo.exc.UserError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(
                f"compile=true: this agent's gradients are not one graph: {reason}; use compile=false"
            ) from error

    return call


class GraphedUpdate:
    """Records one update as a CUDA graph and replays it: no launches by the host, no allocation.

    The first ``WARM_UP`` updates run as they are; so do those with diagnosis, which are few. The batch is
    copied to where the recorded update reads, and metrics are valid until the next update.

    Args:
        update: that of an agent whose optimisers are capturable and which never waits for the device.
        device: a CUDA device.
        generator: the one that the update draws from, besides PyTorch's own.
    """

    def __init__(self, update: Update, device: torch.device, generator: torch.Generator | None) -> None:
        self.update = update
        self.device = device
        self.generator = generator
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: Transition | None = None
        self._stats: Metrics = {}

    def __call__(self, batch: Transition, diagnose: bool) -> Metrics:
        """Update the agent on ``batch``, by replaying the graph once it is recorded."""
        if diagnose or self._calls < WARM_UP:
            self._calls += 0 if diagnose else 1
            return self._on_side_stream(batch, diagnose)
        if self._batch is None or self._graph is None:
            self._batch = Transition(*(field.clone() for field in batch))
            self._graph = self._record(self._batch)
        else:
            for static, field in zip(self._batch, batch, strict=True):
                static.copy_(field)
        self._graph.replay()
        return dict(self._stats)

    def _on_side_stream(self, batch: Transition, diagnose: bool) -> Metrics:
        """Update on a separate stream, as recording will, so that libraries set themselves up for it."""
        current = torch.cuda.current_stream(self.device)
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]  # torch leaves it without types
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            metrics = self.update(batch, diagnose)
        current.wait_stream(stream)
        return metrics

    def _record(self, batch: Transition) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        if self.generator is not None:
            graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph):
            self._stats = self.update(batch, False)
        return graph
