"""Reads configurations that may be a stranger's, as names and plain values and nothing more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from mtrl.config.allowed_classes import CONTRACTS, LEAVES, OPTIONAL
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory
from mtrl.runs.older import with_names_of_today

PLACES = ("run_dir", "resume")
MAX_DEPTH = 20  # lists and trees in each other
MAX_CHARACTERS = 2**20  # hundreds of times what a run writes


def read_config(path: Path) -> DictConfig:
    """The configuration that a run wrote, in the names of this release.

    Raises:
        UsageError: for a file that no run has written. ``${...}`` is refused too: a run writes what it stands
            for, and here it would read this process's environment.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
        require(len(text) <= MAX_CHARACTERS, f"{path} is too long for the configuration of a run")
        _require_shallow(path, text)
        plain = OmegaConf.to_container(OmegaConf.create(text))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    require_plain(plain, str(path))
    config = OmegaConf.create(with_names_of_today(plain, RunDirectory(path.parent).manifest))
    assert isinstance(config, DictConfig)
    return config


def _require_shallow(path: Path, text: str) -> None:
    """Raise for what is short and yet takes memory or time without end: aliases of aliases, and depth."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        require(
            depth <= MAX_DEPTH, f"{path} must hold the options of a run, found {depth} lists in each other"
        )
        require(not isinstance(event, AliasEvent), f"{path} must hold values only, found a YAML alias")


def require_plain(config: Any, where: str) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless ``config`` is one of a run, without interpolations."""
    require(
        isinstance(config, dict), f"{where} must hold the options of a run, found {type(config).__name__}"
    )
    for name in ("seed", *PLACES, *LEAVES):
        found = name in config
        require(found or name in PLACES, f"{where} has no {name!r}: it is not the configuration of a run")
    for name in CONTRACTS:
        if name in OPTIONAL and name not in config:
            continue
        node = config[name]
        valid = isinstance(node, dict) and isinstance(node.get("_target_"), str)
        require(valid, f"{where}: {name} must hold a _target_ and its options, found {node!r}")
    for name in PLACES:
        if config.get(name) is not None:
            require_path(name, config[name])
    _require_values(config, where)


def require_path(name: str, value: Any) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless ``value`` can be the path of a directory."""
    valid = isinstance(value, str) and value.strip() != "" and value.isprintable()
    require(valid, f"{name} must be the path of a directory, found {value!r}")
    longest = max((len(part.encode()) for part in Path(value).parts), default=0)
    require(longest <= 255 and len(value.encode()) < 4096, f"{name} is too long for a path: {value!r}")


def _require_values(value: Any, where: str, place: str = "") -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            require(isinstance(name, str), f"{where}: {place or 'options'} must have names, found {name!r}")
            _require_values(item, where, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _require_values(item, where, f"{place}[{index}]")
    else:
        plain = (
            value is None
            or isinstance(value, int | float)
            or (isinstance(value, str) and value.isprintable())
        )
        require(plain, f"{where}: {place} must be a plain value on one line, found {value!r}")
        require("${" not in str(value), f"{where}: {place} must be a value without ${{...}}, found {value!r}")
        require(value != "???", f"{where}: {place} must have a value, found ???")
