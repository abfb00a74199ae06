"""Reads the runs below folders, without their checkpoints, and tells their suites apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from mtrl.analysis.folders import LeftOut, look_for_runs
from mtrl.analysis.log_entries import Entry, read_evaluations, read_manifest, read_metrics
from mtrl.config.build import load_config
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory


@dataclass(frozen=True, eq=False)
class Run:
    """One run directory. Entries that were cut short, by a kill or a full disk, are skipped."""

    files: RunDirectory
    config: dict[str, Any]
    manifest: dict[str, Any] = field(repr=False)

    @property
    def path(self) -> Path:
        return self.files.path

    @property
    def seed(self) -> int:
        return self.config["seed"]

    @cached_property
    def evaluations(self) -> list[Entry]:
        """The evaluations by increasing step, the last one of a step where a resumed run repeated it."""
        by_step = {entry["step"]: entry for entry in read_evaluations(self.files.evaluations)}
        return [by_step[step] for step in sorted(by_step)]

    @cached_property
    def metrics(self) -> list[Entry]:
        """The metrics, one entry for each log interval, by increasing step."""
        by_step = {entry["step"]: entry for entry in read_metrics(self.files.metrics)}
        return [by_step[step] for step in sorted(by_step)]

    @property
    def final(self) -> Entry | None:
        """The final evaluation; None while the run is unfinished, or trained further."""
        last = self.evaluations[-1] if self.evaluations else {}
        return last if last.get("final") else None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, in the suite's order."""
        if self.evaluations:
            return tuple(self.evaluations[-1]["success"])
        return tuple(self.manifest.get("suite", {}).get("tasks", ()))


class Found(NamedTuple):
    """The runs below some folders, and what there is not one."""

    runs: list[Run]
    left_out: list[LeftOut]


def find_runs(paths: Sequence[Path], say: Callable[[str], None] = lambda note: None) -> list[Run]:
    """Read the runs at and below ``paths``, each once.

    Args:
        paths: run directories, or folders above.
        say: told what is left out, and why.

    Raises:
        UsageError: where there is none, and for a path that is not there.
    """
    runs, left_out = look_at(paths)
    reasons = [f"{path}: {reason}" for path, reason, _ in left_out[:3]]
    require(len(runs) > 0, f"no run that can be read: {'; '.join(reasons)}")
    for path, reason, _ in left_out:
        say(f"{path} is left out: {reason}")
    return runs


def look_at(paths: Sequence[Path]) -> Found:
    """Read the runs at and below ``paths``, if there are some.

    Raises:
        UsageError: for a path that is not there, and where nothing resembles a run.
    """
    folders, left_out = look_for_runs(paths)
    runs: dict[Path, Run] = {}
    for folder in folders:
        try:
            runs[folder.resolve()] = _read(folder)
        except (UsageError, OSError) as error:
            left_out.append(LeftOut(folder, " ".join(str(error).split()), damaged=True))
    something = len(runs) > 0 or any(other.damaged for other in left_out)
    require(something, "; ".join(f"{path}: {reason}" for path, reason, _ in left_out[:3]))
    return Found(list(runs.values()), left_out)


def _read(folder: Path) -> Run:
    files = RunDirectory(folder)
    manifest = read_manifest(files.manifest)
    config = OmegaConf.to_container(load_config(files))
    assert isinstance(config, dict)
    seed = config["seed"]
    valid = isinstance(seed, int) and not isinstance(seed, bool)
    require(valid, f"{files.config} must have an integer as seed, found {seed!r}")
    first = manifest.get("seed", seed)
    require(seed == first, f"seed in {files.config} is {seed}, but the run began with {first}")
    run = Run(files, {str(name): value for name, value in config.items()}, manifest)
    _ = run.evaluations  # which cannot be read where permissions are missing
    return run


def by_suite(runs: Sequence[Run]) -> list[list[Run]]:
    """Part ``runs`` by their sets of tasks, in the order of the first of each."""
    suites: dict[frozenset[str], list[Run]] = {}
    for run in runs:
        suites.setdefault(frozenset(run.tasks), []).append(run)
    return list(suites.values())
