"""Builds the suite, the agent and the aggregators that a configuration describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtrl.aggregators import Aggregator
from mtrl.config.allowed_classes import CONTRACTS, OPTIONAL, SIDES
from mtrl.config.instantiate import NOTHING, TARGET, build
from mtrl.config.literals import named
from mtrl.config.suite_spec import require_spec
from mtrl.config.typed import PATHS
from mtrl.config.untrusted import read_config, require_plain
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory
from mtrl.runs.hook import LoggerHook
from mtrl.training.compiling import accelerate
from mtrl.training.config import TrainingConfig
from mtrl.training.peak_memory import predict_bytes
from mtrl.types import Agent, Suite, SuiteSpec

COUNTS = ("seed", *(option.name for option in fields(TrainingConfig) if "int" in str(option.type)))


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
        remedy = "; a folder of such a name can be given from within it, as ." * (error.full_key in PATHS)
        raise UsageError(f"cannot resolve {error.full_key}: {str(error).splitlines()[0]}{remedy}") from error
    _drop_unused(resolved)
    require_plain(resolved, "the configuration")
    assert isinstance(resolved, dict)
    for name in COUNTS:
        value = resolved.get(name)
        if isinstance(value, float) and value.is_integer():  # 1e6, as people write a million
            resolved[name] = int(value)
    given = named(overrides)
    for leaf in CONTRACTS:
        if leaf in resolved and f"{leaf}.{TARGET}" in given:
            node = resolved[leaf]
            resolved[leaf] = {name: value for name, value in node.items() if f"{leaf}.{name}" in given}
    return OmegaConf.create(resolved)


def _drop_unused(resolved: Any) -> None:
    """Leave out what has no class: a side then takes the aggregator of both; the log goes to files alone."""
    for part in OPTIONAL:
        node = resolved.get(part) if isinstance(resolved, dict) else None
        if isinstance(node, dict) and node.get(TARGET) is None:
            others = ", ".join(f"{part}.{name}" for name in node if name != TARGET)
            require(not others, f"{others}: choose {part} first, {part}=NAME")
            del resolved[part]


def has_own(config: DictConfig, side: str) -> bool:
    """Whether a configuration has an aggregator for this side alone."""
    return OmegaConf.select(config, f"{side}.{TARGET}") is not None


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


def build_suite(config: DictConfig, objects: Mapping[str, Any] = NOTHING) -> Suite:
    """The suite of ``config.env``; its goals follow from ``config.seed``."""
    seed = config.seed
    valid = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**32
    require(valid, f"seed must be an integer from 0 to {2**32 - 1}, found {seed!r}")
    suite: Suite = build("env", _plain(config.env), objects, seed=seed)
    require_spec(suite)
    return suite


def build_aggregator(
    node: DictConfig, num_tasks: int, leaf: str = "aggregator", objects: Mapping[str, Any] = NOTHING
) -> Aggregator:
    """The aggregator of one configuration; ``leaf`` is its place there."""
    made: Aggregator = build(leaf, _plain(node), objects, num_tasks=num_tasks)
    found = made.num_tasks
    require(found == num_tasks, f"{leaf} must be for the suite's {num_tasks} tasks, found one for {found}")
    return made


def build_agent(
    config: DictConfig,
    spec: SuiteSpec,
    device: torch.device,
    generator: torch.Generator | None,
    objects: Mapping[str, Any] = NOTHING,
) -> Agent:
    """The agent of ``config.agent`` with an aggregator for each side."""
    leaves = [side if has_own(config, side) else "aggregator" for side in SIDES]
    actor, critic = (build_aggregator(config[leaf], spec.num_tasks, leaf, objects) for leaf in leaves)
    return build(
        "agent",
        _plain(config.agent),
        objects,
        spec=spec,
        actor_aggregator=actor,
        critic_aggregator=critic,
        device=device,
        generator=generator,
    )


def build_hook(config: DictConfig, objects: Mapping[str, Any] = NOTHING) -> LoggerHook | None:
    """What listens to the run's log, if something does."""
    if OmegaConf.select(config, f"logger.{TARGET}") is None:
        return None
    hook: LoggerHook = build("logger", _plain(config.logger), objects)
    return hook


def predict_memory(config: DictConfig, spec: SuiteSpec, objects: Mapping[str, Any] = NOTHING) -> int | None:
    """Peak bytes of the agent and its updates, see :func:`mtrl.training.peak_memory.predict_bytes`."""
    eager = replace(training_config(config), compile=False, cudagraphs=False)

    def make(device: torch.device) -> Agent:
        agent = build_agent(config, spec, device, None, objects)
        if eager.precision != "tf32":  # which changes no size
            accelerate(agent, eager, device, None)
        return agent

    return predict_bytes(make, spec, eager.batch_size)


def generators(seed: int, device: torch.device) -> tuple[torch.Generator, np.random.Generator]:
    """The run's randomness besides the environments' goals; aggregators draw from PyTorch's own generator."""
    torch.manual_seed(seed)
    return torch.Generator(device).manual_seed(seed), np.random.default_rng(seed)


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
