"""Finds runs on disk and reads them without their checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from mtrl.analysis.log_entries import Entry, read_evaluations, read_manifest, read_metrics
from mtrl.config.build import load_config
from mtrl.errors import require
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
        """The final evaluation; None while the run is unfinished."""
        return next((entry for entry in self.evaluations if entry.get("final")), None)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, in the suite's order."""
        if self.evaluations:
            return tuple(self.evaluations[-1]["success"])
        return tuple(self.manifest.get("suite", {}).get("tasks", ()))


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Find the runs at and below ``paths``, each once.

    Raises:
        UsageError: for a path without any, and for runs of different suites.
    """
    found: dict[Path, Run] = {}
    for path in paths:
        require(path.is_dir(), f"no run directory at {path}")
        below = [_read(folder) for folder in sorted(_folders(path))]
        require(
            len(below) > 0,
            f"{path} holds no run: name a directory with config.yaml and manifest.json, or a folder above",
        )
        found |= {run.path.resolve(): run for run in below}
    runs = list(found.values())
    _require_one_suite(runs)
    return runs


def _folders(path: Path) -> Iterator[Path]:
    for config in path.rglob("config.yaml"):
        if (config.parent / "manifest.json").is_file():
            yield config.parent


def _read(folder: Path) -> Run:
    files = RunDirectory(folder)
    manifest = read_manifest(files.manifest)
    config = OmegaConf.to_container(load_config(files))
    assert isinstance(config, dict)
    seed = config["seed"]
    valid = isinstance(seed, int) and not isinstance(seed, bool)
    require(valid, f"{files.config} must have an integer as seed, found {seed!r}; leave {folder} out")
    return Run(files, {str(name): value for name, value in config.items()}, manifest)


def _require_one_suite(runs: list[Run]) -> None:
    known = [run for run in runs if run.tasks]
    for run in known[1:]:
        first = known[0]
        require(
            set(run.tasks) == set(first.tasks),
            f"runs of different suites cannot be mixed: {first.path} has the {_tasks(first)}, {run.path} the "
            f"{_tasks(run)}; name the runs of one suite",
        )


def _tasks(run: Run) -> str:
    names = run.tasks
    return f"{len(names)} tasks {names[0]} to {names[-1]}" if len(names) > 1 else f"task {names[0]}"
