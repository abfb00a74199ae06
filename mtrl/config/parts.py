"""Builds all parts of a run from its configuration, and checks that they fit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig

from mtrl.config.build import (
    build_agent,
    build_hook,
    build_suite,
    generators,
    predict_memory,
    training_config,
)
from mtrl.config.instantiate import NOTHING
from mtrl.config.recorder import build_recorder, prepare_drawing
from mtrl.devices import total_memory
from mtrl.errors import require
from mtrl.products import Products
from mtrl.replay import replay_bytes, require_memory
from mtrl.runs.checkpoint import require_loadable
from mtrl.runs.hook import LoggerHook
from mtrl.runs.manifest import manifest, plain_facts
from mtrl.training.compiling import compiles
from mtrl.training.config import TrainingConfig
from mtrl.types import Agent, Suite


class Parts(NamedTuple):
    """What a trainer needs."""

    training: TrainingConfig
    suite: Suite
    agent: Agent
    device: torch.device
    generator: torch.Generator
    rng: np.random.Generator
    recorder: Callable[[], bytes] | None  # of evaluations
    compiling: bool  # whether the first updates take longer
    hook: LoggerHook | None  # what listens to the log


def build_parts(config: DictConfig, device: torch.device, objects: Mapping[str, Any] = NOTHING) -> Parts:
    """The parts of the run that ``config`` describes.

    Args:
        config: as resolved.
        device: of agent and replay.
        objects: by place, what Python gave that no configuration can name.

    Raises:
        UsageError: for a part that cannot be built, and for parts that do not fit together.
    """
    training = training_config(config)
    recorded = config.get("record_evaluations", False)
    require(isinstance(recorded, bool), f"record_evaluations must be true or false, found {recorded!r}")
    no_backend = prepare_drawing() if recorded else None  # before the suite imports MuJoCo
    suite = build_suite(config, objects)
    if hasattr(suite, "require_simulator"):  # what is trained can be evaluated without
        suite.require_simulator()
    _require_goals(training, suite)
    _require_updates(training, config.env.get("copies", 1))
    require_memory(suite.spec, training.replay_capacity, device)
    generator, rng = generators(config.seed, device)
    agent = build_agent(config, suite.spec, device, generator, objects)
    require_loadable(agent.state_dict(), "agent")
    compiling = compiles(training.compile, agent, training.updates(config.env.get("copies", 1)))
    recorder = build_recorder(suite, agent, device, no_backend) if recorded else None
    _require_room(training, config)
    hook = build_hook(config, objects)
    return Parts(training, suite, agent, device, generator, rng, recorder, compiling, hook)


def manifest_of(parts: Parts, products: Products, seed: int) -> dict[str, Any]:
    """The manifest of a run of ``parts`` on this machine, today."""
    spec = parts.suite.spec
    sizes = {"obs_size": spec.obs_size, "action_size": spec.action_size}
    suite = plain_facts({"tasks": list(spec.task_names), **parts.suite.describe(), **sizes}, "env")
    return manifest(parts.device, products, seed, suite, {"parameters": parts.agent.parameter_counts()})


def out_of_memory(config: DictConfig, device: torch.device, objects: Mapping[str, Any] = NOTHING) -> str:
    """The message for a device whose memory a run does not fit into."""
    spec = build_suite(config, objects).spec
    update = predict_memory(config, spec, objects)
    parts = [] if update is None else [f"agent and update {update / 1e9:.1f} GB at most"]
    parts.append(f"the replay {replay_bytes(spec, config.replay_capacity) / 1e9:.1f} GB")
    return (
        f"{device} has not enough free memory, of {total_memory(device) / 1e9:.1f} GB in all: "
        f"{', '.join(parts)}; choose a smaller batch_size, task_chunk or replay_capacity, or "
        "gradients=layers"
    )


def check_values(config: DictConfig) -> None:
    """Raise for a value that the run of ``config`` would refuse, whatever machine it is for."""
    training = training_config(config)
    suite = build_suite(config)
    _require_goals(training, suite)
    _require_updates(training, config.env.get("copies", 1))
    _require_room(training, config)
    build_agent(config, suite.spec, torch.device("meta"), None)
    build_hook(config)


def _require_updates(training: TrainingConfig, copies: int) -> None:
    """Raise for a run that would end before it has learnt anything."""
    vector_steps = -(-training.steps_per_task // copies)
    updates = (vector_steps - training.warmup_steps) * training.updates_per_step
    require(
        updates >= 1,
        f"steps_per_task must leave time for an update: {training.steps_per_task} steps of each task in "
        f"{copies} copies (env.copies) are {vector_steps} vector steps, of which the first "
        f"{training.warmup_steps} (warmup_steps) are random and each of the others makes "
        f"{training.updates_per_step:g} updates (updates_per_step); train longer, or warm up for less",
    )


def _require_goals(training: TrainingConfig, suite: Suite) -> None:
    """Raise where an evaluation would visit a goal twice."""
    goals = suite.spec.num_goals
    for name in ("evaluation_episodes", "final_episodes"):
        episodes = getattr(training, name)
        require(episodes <= goals, f"{name} must be at most the {goals} goals of each task, found {episodes}")


def _require_room(training: TrainingConfig, config: DictConfig) -> None:
    """Raise for options of an environment or an agent that ask for larger batches or a larger replay."""
    copies, steps = config.env.get("copies", 1), config.agent.get("inner_steps", 1)
    require(
        copies <= training.replay_capacity,
        f"replay_capacity must hold one step of all copies, {copies}, found {training.replay_capacity}",
    )
    require(
        steps <= training.batch_size,
        f"inner_steps must be at most batch_size, {training.batch_size}, found {steps}: "
        "every inner step needs transitions of its own",
    )
