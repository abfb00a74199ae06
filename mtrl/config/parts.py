"""Builds all parts of a run from its configuration, and checks that they fit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig

from mtrl.config.build import build_agent, build_hook, build_suite, generators, training_config
from mtrl.config.instantiate import NOTHING
from mtrl.config.recorder import build_recorder, prepare_drawing
from mtrl.errors import require
from mtrl.replay import require_memory
from mtrl.runs.hook import LoggerHook
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
    _require_goals(training, suite)
    require_memory(suite.spec, training.replay_capacity, device)
    generator, rng = generators(config.seed, device)
    agent = build_agent(config, suite.spec, device, generator, objects)
    compiling = compiles(training.compile, agent, training.updates(config.env.get("copies", 1)))
    recorder = build_recorder(suite, agent, device, no_backend) if recorded else None
    _require_room(training, config)
    hook = build_hook(config, objects)
    return Parts(training, suite, agent, device, generator, rng, recorder, compiling, hook)


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
