"""Lists the agents and aggregators of ``configs``, reads what their files say, and builds an aggregator."""

from __future__ import annotations

import importlib.util
from importlib.resources import files
from typing import Any

import yaml

from mtrl.aggregators import Aggregator
from mtrl.config.instantiate import build
from mtrl.errors import require

AGENTS = files("mtrl.configs").joinpath("agent")
METHODS = files("mtrl.configs").joinpath("aggregator")


def method_names() -> list[str]:
    """List every aggregator in alphabetical order; the adapter to TorchJD only where that is installed."""
    names = sorted(
        path.name.removesuffix(".yaml") for path in METHODS.iterdir() if path.name.endswith(".yaml")
    )
    installed = all(map(importlib.util.find_spec, ("torchjd", "quadprog", "cvxpy", "ecos")))
    return [name for name in names if installed or name != "torchjd"]


def require_methods(names: list[str]) -> None:
    """Raise :class:`~mtrl.errors.UsageError` for a name without a configuration."""
    known = method_names()
    unknown = [name for name in names if name not in known]
    require(not unknown, f"unknown method {', '.join(unknown)}; choose among: {', '.join(known)}")


def method_config(name: str) -> dict[str, Any]:
    """Read the configuration of a method as it stands; plain YAML, so the core's tests need no Hydra."""
    config: dict[str, Any] = yaml.safe_load(METHODS.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
    return config


def method_summary(name: str) -> str:
    """The first line of the configuration: what the method is, and whose."""
    return METHODS.joinpath(f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


def method_use(name: str) -> str:
    """The second line of the configuration: when to use the method."""
    return (
        METHODS.joinpath(f"{name}.yaml").read_text(encoding="utf-8").splitlines()[1].removeprefix("# use: ")
    )


def build_method(name: str, num_tasks: int, **options: Any) -> Aggregator:
    """Build a method as configured but for ``options``; a subset of tasks is cut to half of them."""
    config = method_config(name) | options
    if "size" in config:
        config["size"] = min(config["size"], (num_tasks + 1) // 2)
    method: Aggregator = build("aggregator", config, num_tasks=num_tasks)
    return method


def agent_names() -> list[str]:
    """List every agent in alphabetical order."""
    return sorted(path.name.removesuffix(".yaml") for path in AGENTS.iterdir() if path.name.endswith(".yaml"))


def agent_summary(name: str) -> str:
    """The first line of the agent's configuration: what it is, and whose."""
    return AGENTS.joinpath(f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
