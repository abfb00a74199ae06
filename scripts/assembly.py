"""From a configuration to the objects of a run: the only place where ``_target_`` is looked at."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from mtrl.acceleration import accelerate
from mtrl.aggregators import Aggregator
from mtrl.config import TrainingConfig
from mtrl.errors import UsageError, require
from mtrl.memory import predict_bytes
from mtrl.run_directory import RunDirectory
from mtrl.types import Agent, Suite, SuiteSpec

LEAVES = ("env", "agent", "aggregator")


def resolve(config: DictConfig, overrides: list[str]) -> DictConfig:
    """``config`` without interpolations and without options meant for a class that was replaced.

    ``aggregator._target_=my_file.Mine`` replaces the class, not the options of the group's choice:
    only those that the command line itself names are passed on.
    """
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    given = {override.lstrip("+").split("=")[0] for override in overrides}
    for leaf in LEAVES:
        if f"{leaf}._target_" in given:
            node = resolved[leaf]
            resolved[leaf] = {name: value for name, value in node.items() if f"{leaf}.{name}" in given}
    return OmegaConf.create(resolved)


def load_config(files: RunDirectory) -> DictConfig:
    """The configuration that a run wrote beside its results."""
    config = OmegaConf.load(files.config)
    require(isinstance(config, DictConfig), f"{files.config} is not the configuration of a run")
    assert isinstance(config, DictConfig)
    return config


def training_config(config: DictConfig) -> TrainingConfig:
    """The options of the loop as a dataclass."""
    return TrainingConfig(**{field.name: config[field.name] for field in fields(TrainingConfig)})


def build_suite(config: DictConfig) -> Suite:
    """The suite of ``config.env``; its goals follow from ``config.seed``."""
    seed = config.seed
    require(isinstance(seed, int) and seed >= 0, f"seed must be an integer of at least 0, found {seed!r}")
    return _instantiate(config.env, "env", seed=seed)


def build_aggregator(node: DictConfig, num_tasks: int) -> Aggregator:
    """The aggregator of one configuration."""
    aggregator = _instantiate(node, "aggregator", num_tasks=num_tasks)
    found = type(aggregator).__name__
    require(
        isinstance(aggregator, Aggregator),
        f"aggregator._target_ must be an mtrl.aggregators.Aggregator, found {found}; subclass it",
    )
    return aggregator


def build_agent(
    config: DictConfig, spec: SuiteSpec, device: torch.device, generator: torch.Generator | None
) -> Agent:
    """The agent of ``config.agent`` with two instances of ``config.aggregator``."""
    actor, critic = (build_aggregator(config.aggregator, spec.num_tasks) for _ in range(2))
    return _instantiate(
        config.agent,
        "agent",
        spec=spec,
        actor_aggregator=actor,
        critic_aggregator=critic,
        device=device,
        generator=generator,
    )


def predict_memory(config: DictConfig, spec: SuiteSpec) -> int | None:
    """Peak bytes of the agent and its updates, see :func:`mtrl.memory.predict_bytes`."""
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


def _instantiate(node: DictConfig, leaf: str, **facts: Any) -> Any:
    try:
        return instantiate(node, _convert_="all", **facts)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UsageError):
            raise cause from error
        if isinstance(cause, TypeError | ImportError | None):
            raise UsageError(f"{leaf} ({node.get('_target_')}): {cause or error}") from error
        raise
