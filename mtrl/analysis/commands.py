"""Writes the shell commands that train with a given configuration again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from mtrl.analysis.grouping import closest_choice
from mtrl.config.allowed_classes import CONTRACTS
from mtrl.config.build import resolve
from mtrl.config.compose import compose_config
from mtrl.config.instantiate import PYTHON, TARGET
from mtrl.config.learning_options import flatten
from mtrl.config.literals import literal

Config = dict[str, Any]
PLACES = ("run_dir", "resume")  # where a run lies, not what it is


def training_commands(config: Config, seeds: Sequence[int]) -> str:
    """Shell commands that compose ``config`` again with each of ``seeds``, in new run directories."""
    given = [name for name in flatten(config) if name.endswith(PYTHON)]
    if given:
        parts = ", ".join(name.removesuffix(f".{PYTHON}") for name in given)
        return f"# no command: mtrl.Experiment made these runs with objects of its own for {parts}"
    others = [override for override in training_overrides(config) if not override.startswith("seed=")]
    command = shlex.join(["python", "scripts/train.py", *others])
    if len(seeds) == 1:
        return f"{command} seed={seeds[0]}"
    return f"for seed in {' '.join(map(str, seeds))}; do\n  {command} seed=$seed\ndone"


def training_overrides(config: Config) -> list[str]:
    """The overrides that turn the defaults into ``config``."""
    closest = {leaf: closest_choice(config, leaf) for leaf in CONTRACTS if leaf in config}
    choices = [f"{leaf}={name}" for leaf, name in closest.items() if name is not None]
    base = _defaults(tuple(choices))
    overrides = []
    for name, value in config.items():
        if name in closest and closest[name] is None:  # a class of the user's own: all its options are named
            known = base.get(name, {TARGET: None})  # an aggregator of one side is there to be given a class
            overrides += [
                f"{'' if option in known else '+'}{name}.{option}={literal(setting)}"
                for option, setting in value.items()
            ]
        elif name not in PLACES:
            overrides += _changes(name, base.get(name), value)
    return choices + overrides


def _changes(name: str, base: Any, value: Any) -> Iterator[str]:
    if not (isinstance(base, dict) and isinstance(value, dict)):
        if base != value:
            yield f"{name}={literal(value)}"
        return
    for key, setting in value.items():
        if key in base:
            yield from _changes(f"{name}.{key}", base[key], setting)
        else:
            yield f"+{name}.{key}={literal(setting)}"
    yield from (f"~{name}.{key}" for key in base if key not in value)


@cache
def _defaults(overrides: tuple[str, ...]) -> Config:
    config = OmegaConf.to_container(resolve(compose_config(list(overrides)), list(overrides)))
    assert isinstance(config, dict)
    return {str(name): value for name, value in config.items()}
