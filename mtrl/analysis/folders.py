"""Finds the run directories at and below folders, through links, each once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mtrl.errors import require
from mtrl.policies import missing

FILES = ("config.yaml", "manifest.json")  # without which nothing is a run
MARKS = (*FILES, "metrics.jsonl", "evaluations.jsonl", "checkpoints")  # two of them are what is left of one
INSIDE = ("checkpoints", "replay", "tensorboard", "wandb")  # a run's own, which hold no other run


class LeftOut(NamedTuple):
    """A directory that is not read, and why."""

    path: Path
    reason: str
    damaged: bool = False  # a run once; otherwise of something else


def look_for_runs(paths: Sequence[Path]) -> tuple[list[Path], list[LeftOut]]:
    """Look at and below ``paths`` for directories with both of a run's files, and for what resembles them.

    Raises:
        UsageError: for a path that is not there.
    """
    found: list[Path | LeftOut] = []
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if path.is_dir():
            found += _look(path, seen)
        else:
            require(path.exists(), missing(path))
            found.append(LeftOut(path, "it is a file"))
    whole = [folder for folder in found if isinstance(folder, Path)]
    return whole, [folder for folder in found if isinstance(folder, LeftOut)]


def _look(top: Path, seen: set[tuple[int, int]]) -> list[Path | LeftOut]:
    """Walk below ``top``; links are followed, but for those that lead above it."""
    found: list[Path | LeftOut] = []
    above, known = top.resolve().parents, len(seen)

    def fail(error: OSError) -> None:
        found.append(LeftOut(Path(error.filename), f"it cannot be read: {error.strerror}"))

    for name, below, files in os.walk(top, followlinks=True, onerror=fail):
        folder = Path(name)
        status = folder.stat()
        place = (status.st_dev, status.st_ino)
        if place in seen:
            below.clear()
            continue
        seen.add(place)
        marks = [mark for mark in MARKS if mark in files or mark in below]
        begun = len(marks) > 1
        below[:] = sorted(
            child
            for child in below
            if not (child.startswith(".") or (begun and child in INSIDE))
            and not ((folder / child).is_symlink() and (folder / child).resolve() in above)
        )
        missing = [file for file in FILES if file not in marks]
        if not missing:
            found.append(folder)
        elif begun:
            found.append(LeftOut(folder, f"it has no {' and no '.join(missing)}", damaged=True))
        elif marks == ["config.yaml"]:
            found.append(LeftOut(folder, "it is no run: it has config.yaml and no manifest.json"))
    if not found and len(seen) > known:
        found.append(LeftOut(top, "it holds no run, which is a directory with config.yaml and manifest.json"))
    return found
