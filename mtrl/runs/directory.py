"""Names, locks and writes the files of one run, and finds the checkpoint to load or resume from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import torch

from mtrl.errors import DamagedFileError, StorageError, UsageError, require
from mtrl.path_overrides import resuming
from mtrl.policies import missing, require_weights
from mtrl.replay import Replay
from mtrl.runs import checkpoint, shared_storage
from mtrl.runs.replay_files import ReplayFiles


class RunDirectory:
    """Names the files of a run: config.yaml, manifest.json, metrics.jsonl, evaluations.jsonl, checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.manifest = path / "manifest.json"
        self.metrics = path / "metrics.jsonl"
        self.evaluations = path / "evaluations.jsonl"
        self.checkpoints = path / "checkpoints"
        self.replay = ReplayFiles(path / "replay")
        self.lock_file = path / "lock"
        self.saved_once = path / "saved"  # says that there were checkpoints, should they be gone
        self._lock: int | None = None
        self._made: list[Path] = []  # folders around it that were not there, innermost first
        self._needs: dict[str, set[str]] = {}  # names of the replay's files, by name of the checkpoint

    def claim(self, say: Callable[[str], None] = print) -> None:
        """Make the directory for a new run; raise, and change nothing, where it already holds one.

        Args:
            say: told what the file system cannot do.
        """
        self.require_free()
        self._made = self._made or _absent(self.path)
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot create run_dir {self.path}: {error.strerror}") from error
        self.lock(say)

    def require_free(self) -> None:
        """Raise where the directory already holds a run."""
        if self.manifest.exists():
            remedy = "it is finished" if self.finished() else f"continue it with {resuming(self.path)}"
            raise UsageError(
                f"run_dir {self.path} already holds a run ({remedy}); choose another run_dir or remove it"
            )

    def lock(self, say: Callable[[str], None] = print) -> None:
        """Be the only process that writes here, until this one ends, however that happens.

        Raises:
            UsageError: if another process does, or the directory cannot be written.
        """
        self._lock = shared_storage.lock(self.lock_file, say)

    def close(self) -> None:
        """Release the lock, so that other processes may write here."""
        if self._lock is not None:
            shared_storage.unlock(self._lock)
            self._lock = None

    def give_back(self) -> bool:
        """Remove what a new run wrote, unless it recorded something; return whether that was so."""
        if self.saved() or self.metrics.exists() or self.evaluations.exists():
            return False
        events = (self.path / "tensorboard").glob("events.out.tfevents.*")
        for path in (self.manifest, self.config, *events, self.lock_file):
            path.unlink(missing_ok=True)
        for folder in (self.path / "tensorboard", self.checkpoints, self.path, *self._made):
            with suppress(OSError):  # it holds something else
                folder.rmdir()
        return True

    def finished(self) -> bool:
        """Whether the run reached its last step and its final evaluation."""
        if not self.evaluations.exists():
            return False
        text = self.evaluations.read_text(encoding="utf-8", errors="replace")
        return any(map(_is_final, text.splitlines()))

    def require_run(self) -> None:
        """Raise unless this is the directory of a run that wrote a checkpoint."""
        self.require_started()
        require_weights(self.path)
        require(len(self.saved()) > 0, f"{self.path} has no checkpoint yet: nothing to load")

    def require_started(self) -> None:
        """Raise unless this is the directory of a run, even if it has no checkpoint yet."""
        require(self.path.is_dir(), missing(self.path))
        require(self.config.is_file(), f"{self.path} is no run directory: it has no {self.config.name}")

    def require_own_files(self) -> None:
        """Raise unless all below the directory are files and directories of its own.

        A link could lead what is written here to a file elsewhere, and reading a pipe might never end.
        """
        for path in self.path.rglob("*"):
            valid = not path.is_symlink() and (path.is_file() or path.is_dir())
            require(
                valid, f"{path} must be a file of the run itself, found a link or device: put a copy there"
            )

    def saved(self) -> list[Path]:
        """The checkpoint files, oldest first, by step rather than by time."""
        return sorted(self.checkpoints.glob("step_*.pt"))

    def save(self, step: int, state: dict[str, Any], keep: int) -> Path:
        """Write the checkpoint of ``step`` and drop all but the last ``keep``.

        A ``state["replay"]`` of :class:`~mtrl.runs.replay_files.ReplayFiles` keeps the files it names.

        Raises:
            StorageError: if the disk does not take it; earlier checkpoints are left whole.
        """
        path = self.checkpoints / f"step_{step:010d}.pt"
        positions = {file.name: _synced_size(file) for file in (self.metrics, self.evaluations)}
        checkpoint.save(path, {"step": step, "positions": positions, **state})
        self._needs[path.name] = _replay_files(state)
        if not self.saved_once.exists():
            self.write(self.saved_once, "checkpoints were written: without one the run is not begun again\n")
        for old in self.saved()[:-keep]:
            old.unlink()
        known = [self._needs.get(path.name) for path in self.saved()]
        if None not in known:  # otherwise an earlier process wrote some: keep too much rather than too little
            self.replay.drop_all_but(set().union(*filter(None, known)))
        return path

    def load_last(self, device: torch.device, say: Callable[[str], None] = print) -> dict[str, Any]:
        """Load the newest whole checkpoint, tensors on ``device``.

        Raises:
            DamagedFileError: if there is none.
        """
        self.require_run()
        for state in self.whole(device, say):
            return state
        raise DamagedFileError(f"no checkpoint in {self.checkpoints} is whole: nothing to load")

    def whole(self, device: torch.device, say: Callable[[str], None]) -> Iterator[dict[str, Any]]:
        """Load the checkpoints that are whole, newest first; report the others to ``say``."""
        for path in reversed(self.saved()):
            try:
                state = checkpoint.load(path, device)
                with checkpoint.state_errors(path):
                    _require_position(path, state)
                yield state
            except DamagedFileError as error:
                say(f"{error}; trying the checkpoint before")

    def newest_with_replay(
        self, device: torch.device, replay: Replay, say: Callable[[str], None]
    ) -> dict[str, Any] | None:
        """Load the newest checkpoint whose replay is whole, else the newest at all; fill ``replay``.

        None where nothing was saved yet. What is passed over is reported to ``say``.

        Raises:
            DamagedFileError: where there were checkpoints, and none is whole.
        """
        if not self.saved() and self.saved_once.exists():
            raise DamagedFileError(
                f"{self.checkpoints} held checkpoints and holds none now: put one back, or begin another run "
                "in another run_dir; this one's logs are left as they are"
            )
        newest = None
        for state in self.whole(device, say):
            newest = newest or state
            if "replay" not in state:
                break
            try:
                self.replay.read(state["replay"], replay)
            except DamagedFileError as error:
                say(f"the replay of step {state['step']} is not whole: {error}")
                continue
            return state
        if newest is None and self.saved():
            raise DamagedFileError(f"no checkpoint in {self.checkpoints} is whole: nothing to resume")
        return newest

    def rewind(self, state: Mapping[str, Any] | None) -> None:
        """Drop what a killed run wrote after the checkpoint ``state``, or all where there is none."""
        if state is not None:
            self._needs[f"step_{state['step']:010d}.pt"] = _replay_files(state)
        try:
            for path in (self.metrics, self.evaluations):
                position = 0 if state is None else state["positions"][path.name]
                if path.exists() and path.stat().st_size > position:
                    os.truncate(path, position)
            for path in self.saved():
                if state is None or path.name > f"step_{state['step']:010d}.pt":
                    path.rename(path.with_suffix(".damaged"))
        except OSError as error:
            raise StorageError(self.path, error) from error

    def append(self, path: Path, entry: Mapping[str, Any]) -> None:
        """Append an entry to metrics or evaluations, in one piece."""
        try:
            with path.open("ab", buffering=0) as file:
                file.write((json.dumps(entry) + "\n").encode())
        except OSError as error:
            raise StorageError(path, error) from error

    def write_manifest(self, facts: dict[str, Any]) -> None:
        """Write manifest.json."""
        self.write(self.manifest, json.dumps(facts, indent=2) + "\n")

    def write(self, path: Path, text: str) -> None:
        """Write a text file of the run, all or not at all."""
        partial = path.with_name(path.name + ".partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise StorageError(path, error) from error


def claim_free(path: Path, say: Callable[[str], None] = print) -> RunDirectory:
    """Claim ``path``, or where others were quicker to make it, the next of ``path-2``, ``path-3`` ..."""
    for number in count(1):
        free = path if number == 1 else path.with_name(f"{path.name}-{number}")
        made = _absent(free)
        try:
            free.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"cannot create run_dir {free}: {error.strerror}") from error
        files = RunDirectory(free)
        files._made = made
        files.claim(say)
        return files
    raise AssertionError("unreachable")


def _absent(path: Path) -> list[Path]:
    """The folders around ``path`` that are still to be made."""
    return [folder for folder in path.parents if not folder.exists()]


def _require_position(path: Path, state: Mapping[str, Any]) -> None:
    """Raise unless the state names its step, its positions in the logs and its replay files."""
    require(path.name == f"step_{state['step']:010d}.pt", f"{path} holds the state of step {state['step']!r}")
    positions = [state["positions"][name] for name in ("metrics.jsonl", "evaluations.jsonl")]
    valid = all(isinstance(position, int) and position >= 0 for position in positions)
    require(valid, f"{path} must hold positions in the log, found {positions!r}")
    _replay_files(state)


def _replay_files(state: Mapping[str, Any]) -> set[str]:
    return {part["name"] for part in state.get("replay", {}).get("parts", [])}


def _synced_size(path: Path) -> int:
    """Flush a file to the disk and return its size in bytes; 0 if there is none."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        shared_storage.sync(file.fileno())
        return os.fstat(file.fileno()).st_size


def _is_final(line: str) -> bool:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False  # cut short, or no entry of a run
    return isinstance(entry, dict) and bool(entry.get("final"))
