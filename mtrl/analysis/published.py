"""Looks up what papers report, in ``configs/published.yaml``, and how a run's settings differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from omegaconf import OmegaConf

from mtrl.analysis.grouping import aggregator_name, choice_name
from mtrl.config.build import resolve
from mtrl.config.compose import compose_config
from mtrl.config.learning_options import Flat, learning_options


@dataclass(frozen=True)
class Preset:
    """One of ``configs/experiment`` with the figures published for it."""

    name: str
    results: list[dict[str, Any]]  # with the keys paper, name, success, spread, some with same_as
    options: Flat


@cache
def published() -> dict[str, Any]:
    """Read the file's two tables, ``papers`` and ``results``."""
    found = OmegaConf.to_container(
        OmegaConf.create(files("mtrl.configs").joinpath("published.yaml").read_text(encoding="utf-8"))
    )
    assert isinstance(found, dict)
    return {str(name): value for name, value in found.items()}


def closest_preset(config: dict[str, Any]) -> Preset | None:
    """Find the preset of the same suite, agent and aggregator; None where there is none."""
    suite = str(config["env"].get("name", "")).lower()
    wanted = (choice_name(config, "agent"), aggregator_name(config))
    for name, results in published()["results"].items():
        if name.partition("_")[0] != suite:
            continue
        preset = _compose(name)
        if (choice_name(preset, "agent"), aggregator_name(preset)) == wanted:
            return Preset(name, results, learning_options(preset))
    return None


def differences(config: dict[str, Any], preset: Preset) -> list[str]:
    """List the options in which ``config`` differs from the preset, which follows the paper."""
    found = learning_options(config)
    names = dict.fromkeys([*preset.options, *found])
    return [
        f"{name} is {_shown(found, name)}, the preset's {_shown(preset.options, name)}"
        for name in names
        if found.get(name) != preset.options.get(name)
    ]


def _shown(options: Flat, name: str) -> str:
    return str(options[name]) if name in options else "absent"


@cache
def _compose(name: str) -> dict[str, Any]:
    overrides = [f"experiment={name}"]
    config = OmegaConf.to_container(resolve(compose_config(overrides), overrides))
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}
