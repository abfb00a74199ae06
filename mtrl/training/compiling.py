"""Makes updates faster or smaller: compiled, in lower precision, in chunks."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch

from mtrl.compiler_cache import find_compiler_caches
from mtrl.errors import UsageError, require
from mtrl.training.config import Switch, TrainingConfig
from mtrl.training.graphs import GraphedUpdate, Recorder, Say
from mtrl.types import Agent, Metrics, Transition

Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]
Update = Callable[[Transition, bool], Metrics]

WORTHWHILE = 5000  # updates from which compiling them, a minute or two, is soon regained


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
    agent: Agent,
    config: TrainingConfig,
    device: torch.device,
    generator: torch.Generator | None,
    say: Say = print,
) -> Update:
    """Return the agent's update as ``compile``, ``precision``, ``gradients`` ... ask for it.

    For who has no training loop, which records more than the update.

    Args:
        agent: changed in place.
        config: the run's options.
        device: where the agent lives.
        generator: the one that the agent draws from.
        say: told what cannot be done and is done without.

    Raises:
        UsageError: for an option that the device or the agent does not offer.
    """
    configure(agent, config, device, say)
    recording = recorder(agent, config, device, generator, say)
    return agent.update if recording is None else GraphedUpdate(agent.update, recording)


def configure(
    agent: Agent, config: TrainingConfig, device: torch.device, say: Say, updates: float = WORTHWHILE
) -> None:
    """Have ``agent`` compute its updates as ``compile``, ``precision`` and ``task_chunk`` ask for it.

    None of this is state: no checkpoint holds it, and a run can be resumed with other options.

    Args:
        agent: changed in place.
        config: the run's options.
        device: where the agent lives.
        say: told what cannot be done and is done without.
        updates: in the whole run, about.

    Raises:
        UsageError: for an option that the device or the agent does not offer.
    """
    precision = chosen_precision(config, device)
    # The one place where the process-wide switch is set. Gram matrices stay out of its reach.
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    dtype = torch.bfloat16 if precision == "bf16" else None
    accelerable = getattr(agent, "accelerate", None)
    compiling = compiles(config.compile, agent, updates)
    if compiling or dtype is not None or config.task_chunk is not None:
        if accelerable is None:
            raise UsageError(
                f"compile, precision=bf16 and task_chunk need an agent with a method accelerate, see "
                f"mtrl.training.compiling.Accelerable; {type(agent).__name__} has none"
            )
        compiler = Compilation(say, strict=config.compile is True) if compiling else None
        accelerable(compiler, dtype, config.task_chunk)
    if hasattr(agent, "choose_gradients"):
        agent.choose_gradients(config.gradients)
    else:
        require(
            config.gradients == "auto",
            f"gradients={config.gradients} needs an agent with a method choose_gradients; "
            f"{type(agent).__name__} has none",
        )


def chosen_precision(config: TrainingConfig, device: torch.device) -> str:
    """What ``precision`` comes to on ``device``: with auto tf32 on CUDA, fp32 elsewhere.

    Raises:
        UsageError: for tf32 on another device.
    """
    on_cuda = device.type == "cuda"
    require(
        on_cuda or config.precision != "tf32",
        f"precision=tf32 needs a CUDA device, found {device.type}; leave it out here",
    )
    if config.precision != "auto":
        return config.precision
    return "tf32" if on_cuda else "fp32"


def recorder(
    agent: Agent,
    config: TrainingConfig,
    device: torch.device,
    generator: torch.Generator | None,
    say: Say,
) -> Recorder | None:
    """What records graphs of the programs that draw from ``generator``; None where none are to be recorded.

    With ``auto`` only the updates of this project's own classes: a recording repeats what a class of
    someone else's decides in Python, such as by a counter, without a word.

    Raises:
        UsageError: for ``cudagraphs=true`` without CUDA.
    """
    on_cuda = device.type == "cuda"
    require(
        on_cuda or config.cudagraphs is not True,
        f"cudagraphs needs a CUDA device, found {device.type}; leave it out here",
    )
    if not on_cuda or config.cudagraphs is False:
        return None
    others = sorted(foreign_classes(agent))
    if others and config.cudagraphs == "auto":
        say(f"no CUDA graphs: {others[0]} may decide in Python; cudagraphs=true records it all the same")
        return None
    generators = () if generator is None else (generator,)
    return Recorder(device, generators, strict=config.cudagraphs is True, say=say)


def foreign_classes(agent: Agent) -> set[str]:
    """Name the classes of ``agent`` and its aggregators that are neither this project's nor PyTorch's."""
    learners = (getattr(part, "aggregator", None) for part in vars(agent).values())
    modules = [module for one in learners if isinstance(one, torch.nn.Module) for module in one.modules()]
    kinds = {type(part) for part in (agent, *modules)}
    return {kind.__name__ for kind in kinds if kind.__module__.split(".")[0] not in ("mtrl", "torch")}


def compiles(wanted: Switch, agent: Agent, updates: float = WORTHWHILE) -> bool:
    """Whether the agent's updates are to be compiled.

    Args:
        wanted: ``auto`` compiles if the agent and this machine have what PyTorch needs for it, and
            the run is long enough to gain.
        agent: with or without a method ``accelerate``.
        updates: in the run.

    Raises:
        UsageError: for ``True`` where this machine lacks something.
    """
    if not wanted or (wanted == "auto" and (updates < WORTHWHILE or not hasattr(agent, "accelerate"))):
        return False
    missing = []
    find_compiler_caches()
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler  # takes seconds to import
        from torch._inductor.exc import InvalidCxxCompiler
    except OSError as error:
        missing.append(f"a folder for PyTorch's cache, TORCHINDUCTOR_CACHE_DIR: {error.strerror or error}")
    else:
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
    return not missing


class Compilation:
    """Compiles functions, each as one graph, at the first call for arguments of these shapes.

    PyTorch caches the result on disk; the same function compiles faster in the next process. What fails at a
    first call does so before anything is computed: then all functions run as they are written, from that call
    on. What fails later is no matter of compiling.

    Args:
        say: told of the failure, once.
        strict: whether it is an error instead.
    """

    def __init__(self, say: Say, *, strict: bool) -> None:
        self.say = say
        self.strict = strict
        self.failed = False

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a compiled ``function``."""
        graph = torch.compile(function, fullgraph=True, dynamic=False)
        ready = False

        def call(*arguments: Any) -> Any:
            nonlocal ready
            if ready:
                return graph(*arguments)
            if self.failed:
                return function(*arguments)
            try:
                found = graph(*arguments)
            except (UsageError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # whatever compilers raise
                self._fail(error)
                return function(*arguments)
            ready = True
            return found

        return call

    def _fail(self, error: Exception) -> None:
        """Raise if ``strict``; else say it and compile nothing any more."""
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if self.strict:
            if isinstance(error, torch._dynamo.exc.Unsupported | torch._dynamo.exc.UserError):
                raise UsageError(
                    f"compile=true: this agent's gradients are not one graph: {reason}; use compile=false"
                ) from error
            raise error
        self.failed = True
        self.say(f"updates are not compiled: {reason}; going on without")
