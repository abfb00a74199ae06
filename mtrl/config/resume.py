"""Which run a command meant: ``resume=auto`` continues what the same command began."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtrl.config.build import load_config
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory

PLACES = ("resume", "run_dir", "device")  # options that say where, not what


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
