"""From a configuration to the objects of a run: the only place where ``_target_`` is looked at."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtrl.aggregators import Aggregator
from mtrl.config.allowed_classes import CONTRACTS
from mtrl.config.instantiate import build
from mtrl.config.untrusted import read_config, require_plain
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory
from mtrl.training.compiling import accelerate
from mtrl.training.config import TrainingConfig
from mtrl.training.peak_memory import predict_bytes
from mtrl.types import Agent, Suite, SuiteSpec

LEAVES = tuple(CONTRACTS)


def resolve(config: DictConfig, overrides: list[str]) -> DictConfig:
    """``config`` without interpolations and without options meant for a class that was replaced.

    ``aggregator._target_=my_file.Mine`` replaces the class, not the options of the group's choice:
    only those that the command line itself names are passed on.

    Raises:
        UsageError: for an interpolation that leads nowhere, and for an option that was removed.
    """
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UsageError(f"cannot resolve {error.full_key}: {str(error).splitlines()[0]}") from error
    require_plain(resolved, "the configuration")
    assert isinstance(resolved, dict)
    given = {override.lstrip("+").split("=")[0] for override in overrides}
    for leaf in LEAVES:
        if f"{leaf}._target_" in given:
            node = resolved[leaf]
            resolved[leaf] = {name: value for name, value in node.items() if f"{leaf}.{name}" in given}
    return OmegaConf.create(resolved)


def load_config(files: RunDirectory) -> DictConfig:
    """The configuration that a run wrote beside its results."""
    files.require_own_files()
    return read_config(files.config)


def training_config(config: DictConfig) -> TrainingConfig:
    """The options of the loop as a dataclass."""
    names = [field.name for field in fields(TrainingConfig)]
    missing = [name for name in names if name not in config]
    require(not missing, f"the configuration must have {', '.join(missing)}: it is of another release")
    return TrainingConfig(**{name: config[name] for name in names})


def build_suite(config: DictConfig) -> Suite:
    """The suite of ``config.env``; its goals follow from ``config.seed``."""
    seed = config.seed
    valid = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**32
    require(valid, f"seed must be an integer from 0 to {2**32 - 1}, found {seed!r}")
    return build("env", _plain(config.env), seed=seed)


def build_aggregator(node: DictConfig, num_tasks: int) -> Aggregator:
    """The aggregator of one configuration."""
    return build("aggregator", _plain(node), num_tasks=num_tasks)


def build_agent(
    config: DictConfig, spec: SuiteSpec, device: torch.device, generator: torch.Generator | None
) -> Agent:
    """The agent of ``config.agent`` with two instances of ``config.aggregator``."""
    actor, critic = (build_aggregator(config.aggregator, spec.num_tasks) for _ in range(2))
    return build(
        "agent",
        _plain(config.agent),
        spec=spec,
        actor_aggregator=actor,
        critic_aggregator=critic,
        device=device,
        generator=generator,
    )


def predict_memory(config: DictConfig, spec: SuiteSpec) -> int | None:
    """Peak bytes of the agent and its updates, see :func:`mtrl.training.peak_memory.predict_bytes`."""
    eager = replace(training_config(config), compile=False, cudagraphs=False)

    def build(device: torch.device) -> Agent:
        agent = build_agent(config, spec, device, None)
        if eager.precision != "tf32":  # which changes no size
            accelerate(agent, eager, device, None)
        return agent

    return predict_bytes(build, spec, eager.batch_size)


def generators(seed: int, device: torch.device) -> tuple[torch.Generator, np.random.Generator]:
    """The run's randomness besides the environments' goals; aggregators draw from PyTorch's own generator."""
    torch.manual_seed(seed)
    return torch.Generator(device).manual_seed(seed), np.random.default_rng(seed)


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
