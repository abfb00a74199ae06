"""Picks the options that change what is learnt: runs alike in them differ in their seed alone."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from mtrl.config.allowed_classes import LEAVES, SIDES
from mtrl.config.instantiate import PYTHON

# Intervals of logging and evaluation, devices and worker processes change nothing.
OPTIONS = (
    *("steps_per_task", "warmup_steps", "batch_size", "updates_per_step", "exploration_rate"),
    *("replay_capacity", "precision"),
)
WITHOUT_EFFECT = ("env.workers", "env.fast")
BOTH = "aggregator"

Flat = dict[str, Any]


def learning_options(config: dict[str, Any]) -> Flat:
    """Pick them, flat. However a configuration says it, aggregators that both sides share come once."""
    flat = {name: config[name] for name in OPTIONS if name in config}
    parts = {leaf: config[leaf] for leaf in LEAVES if leaf != BOTH} | aggregators(config)
    for leaf, node in parts.items():
        flat |= flatten(node, f"{leaf}.")
    return {
        name: value
        for name, value in flat.items()
        if name not in WITHOUT_EFFECT and not name.endswith(PYTHON)
    }


def hyperparameters(config: DictConfig) -> dict[str, bool | int | float | str]:
    """What sets runs apart, flat, as TensorBoard takes it."""
    options = learning_options(plain(config))
    return {"seed": config.seed} | {
        name: "null" if value is None else value for name, value in options.items()
    }


def plain(config: DictConfig) -> dict[str, Any]:
    """A configuration as plain values."""
    container: Any = OmegaConf.to_container(config)
    return container


def aggregators(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The aggregator of both sides, or where they differ that of each, actor first."""
    actor, critic = (config.get(side, config[BOTH]) for side in SIDES)
    return {BOTH: actor} if actor == critic else dict(zip(SIDES, (actor, critic), strict=True))


def flatten(node: Any, prefix: str = "") -> Flat:
    """``{"network": {"hidden": [8]}}`` as ``{"network.hidden": "[8]"}``."""
    flat: Flat = {}
    for name, value in node.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + str(name)] = str(value) if isinstance(value, list) else value
    return flat
