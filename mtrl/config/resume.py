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
from mtrl.config.instantiate import TARGET
from mtrl.config.literals import path_of
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory

PLACES = ("resume", "run_dir", "device", "threads")  # options that say where, not what


class Chosen(NamedTuple):
    """A run's directory, its configuration, and whether it is there already."""

    files: RunDirectory
    config: DictConfig
    begun: bool


def choose_run(config: DictConfig, overrides: Sequence[str], names: Sequence[str]) -> Chosen:
    """The run that a command means.

    Args:
        config: as composed and resolved.
        overrides: that it was composed from.
        names: that a new run's folder is named by.
    """
    resume, run_dir = config.get("resume"), config.get("run_dir")
    if resume is not None and resume != "auto":
        others = [text for text in overrides if not text.startswith(("resume=", "device=", "threads="))]
        require(not others, f"resume takes the run's own configuration: remove {' '.join(others)}")
        files = RunDirectory(path_of(resume))
        files.require_started()
        require(not files.finished(), f"the run in {files.path} is finished: nothing to resume")
        return Chosen(files, load_config(files), True)
    folder = Path("runs") / "_".join(names)
    run_dir = None if run_dir is None else path_of(run_dir)
    if resume == "auto":
        begun = newest_in(folder, config) if run_dir is None else begun_in(run_dir, config)
        if begun is not None:
            return Chosen(begun, load_config(begun), True)
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return Chosen(RunDirectory(run_dir or folder / f"{now}-seed{config.seed}"), config, False)


def names_of(config: DictConfig, choices: Mapping[str, str | None], replaced: Collection[str]) -> list[str]:
    """What a run's folder is named by: environment, agent and aggregator, as in toy, sac, cagrad-pcgrad.

    Args:
        config: as composed.
        choices: made in each group.
        replaced: dotted names of what was set beside them; a part whose class is there goes by that.
    """

    def name(leaf: str) -> str:
        choice = choices.get(leaf)
        if choice is not None and f"{leaf}.{TARGET}" not in replaced:
            return choice
        return re.sub(r"\W", "", str(config[leaf].get(TARGET)).rpartition(".")[2])

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
    return _flat({str(name): value for name, value in plain.items() if name not in PLACES}, "")


def _flat(node: dict[Any, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in node.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
