"""Chooses the directory of a run, and finds the run that a command or call means to resume."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtrl.config.allowed_classes import LEAVES, SIDES
from mtrl.config.build import has_own, load_config
from mtrl.config.changes import LENGTH, NEUTRAL, PLACES, Changes, change, wanted_changes
from mtrl.config.instantiate import TARGET
from mtrl.config.literals import path_of
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory


class Chosen(NamedTuple):
    """A run's directory, its configuration, whether it is there already, and what is changed on resuming."""

    files: RunDirectory
    config: DictConfig
    begun: bool
    changes: Changes


def choose_run(config: DictConfig, overrides: Sequence[str], names: Sequence[str]) -> Chosen:
    """The run that a command means.

    Args:
        config: as composed and resolved.
        overrides: that it was composed from.
        names: that a new run's folder is named by.
    """
    resume, run_dir = config.get("resume"), config.get("run_dir")
    if resume is not None and resume != "auto":
        wanted = wanted_changes(config, overrides)
        files = RunDirectory(path_of(resume))
        files.require_started()
        begun = load_config(files)
        changes = change(begun, wanted)
        if files.finished():
            require(
                LENGTH in changes,
                f"the run in {files.path} is finished: nothing to resume; to train it further give {LENGTH} "
                f"beside, more than its {begun.get(LENGTH)}",
            )
            files.require_run()
        return Chosen(files, begun, True, changes)
    folder = Path("runs") / "_".join(names)
    run_dir = None if run_dir is None else path_of(run_dir)
    if resume == "auto":
        found = newest_in(folder, config) if run_dir is None else begun_in(run_dir, config)
        if found is not None:
            begun = load_config(found)
            shared = (name for name in NEUTRAL if _has(begun, name) and _has(config, name))
            known = {name: OmegaConf.select(config, name) for name in shared}
            return Chosen(found, begun, True, {} if found.finished() else change(begun, known))
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return Chosen(RunDirectory(run_dir or folder / f"{now}-seed{config.seed}"), config, False, {})


def names_of(config: DictConfig, choices: Mapping[str, str | None], replaced: Collection[str]) -> list[str]:
    """What a run's folder is named by: environment, agent and aggregator, as in toy, sac, cagrad-pcgrad.

    A class of one's own gives its name, or where it is a part, such as a network, adds it: sac-MyNetwork.

    Args:
        config: as composed.
        choices: made in each group.
        replaced: dotted names of what was set beside them, classes among it.
    """

    def class_at(place: str) -> str:
        return re.sub(r"\W", "", str(OmegaConf.select(config, f"{place}.{TARGET}")).rpartition(".")[2])

    def name(leaf: str) -> str:
        places = sorted(found.removesuffix(f".{TARGET}") for found in replaced if found.endswith(TARGET))
        parts = dict.fromkeys(class_at(place) for place in places if place.startswith(f"{leaf}."))
        choice = choices.get(leaf)
        return "-".join([class_at(leaf) if choice is None or leaf in places else choice, *parts])

    names = [name(leaf) for leaf in LEAVES]
    own = [has_own(config, side) for side in SIDES]
    if any(own):
        names[-1] = "-".join(name(side) if its else names[-1] for side, its in zip(SIDES, own, strict=True))
    return names


def begun_in(path: Path, config: DictConfig) -> RunDirectory | None:
    """The run that ``config`` began in this directory, finished or not; None if there is none.

    Raises:
        UsageError: if it holds a run of another configuration.
    """
    files = RunDirectory(path)
    if not files.config.is_file():
        return None
    here, wanted = _contents(load_config(files)), _contents(config)
    others = sorted(name for name in here.keys() | wanted.keys() if here.get(name) != wanted.get(name))
    require(
        not others,
        f"run_dir {path} holds a run of another configuration, which differs in {', '.join(others)}; "
        "choose another run_dir",
    )
    return files


def newest_in(folder: Path, config: DictConfig) -> RunDirectory | None:
    """The newest unfinished run of ``config`` among the directories of ``folder``, by their names."""
    for path in sorted(folder.glob("*/config.yaml"), reverse=True):
        try:
            files = begun_in(path.parent, config)
        except (UsageError, OmegaConfBaseException):
            continue
        if files is not None and not files.finished():
            return files
    return None


def _contents(config: DictConfig) -> dict[str, Any]:
    """What decides a run's results, by dotted name."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    flat = _flat({str(name): value for name, value in plain.items() if name not in PLACES}, "")
    told = {name for name in flat if name.startswith("logger.")}  # where the log goes too
    return {name: value for name, value in flat.items() if name not in (*NEUTRAL, *told)}


def _has(config: DictConfig, name: str) -> bool:
    place, _, option = name.rpartition(".")
    return option in (OmegaConf.select(config, place) if place else config)


def _flat(node: dict[Any, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in node.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
