"""The methods of the ``configs/aggregator`` folder: that folder is the only list of them."""

from __future__ import annotations

import importlib.util
from importlib.resources import files
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mtrl.aggregators import Aggregator
from mtrl.config.build import build_aggregator
from mtrl.errors import require

FOLDER = files("mtrl.configs").joinpath("aggregator")


def method_names() -> list[str]:
    """Every configuration, in alphabetical order; the adapter to TorchJD only where that is installed."""
    names = sorted(
        path.name.removesuffix(".yaml") for path in FOLDER.iterdir() if path.name.endswith(".yaml")
    )
    installed = all(map(importlib.util.find_spec, ("torchjd", "quadprog", "cvxpy", "ecos")))
    return [name for name in names if installed or name != "torchjd"]


def require_methods(names: list[str]) -> None:
    """Raise :class:`~mtrl.errors.UsageError` for a name without a configuration."""
    known = method_names()
    unknown = [name for name in names if name not in known]
    require(not unknown, f"unknown method {', '.join(unknown)}; choose among: {', '.join(known)}")


def method_config(name: str) -> DictConfig:
    """The configuration of a method as it stands."""
    config = OmegaConf.create(FOLDER.joinpath(f"{name}.yaml").read_text())
    assert isinstance(config, DictConfig)
    return config


def method_summary(name: str) -> str:
    """The first line of the configuration: what the method is, and whose."""
    return FOLDER.joinpath(f"{name}.yaml").read_text().splitlines()[0].removeprefix("# ")


def method_use(name: str) -> str:
    """The second line of the configuration: when to use the method."""
    return FOLDER.joinpath(f"{name}.yaml").read_text().splitlines()[1].removeprefix("# use: ")


def build_method(name: str, num_tasks: int, **options: Any) -> Aggregator:
    """A method as configured but for ``options``; a subset of tasks is cut to half of them."""
    config = method_config(name)
    config.update(options)
    if "size" in config:
        config.size = min(config.size, (num_tasks + 1) // 2)
    return build_aggregator(config, num_tasks)
