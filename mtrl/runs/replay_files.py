"""Stores the replay on disk: a checkpoint writes what is new since the last and names the files it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from mtrl.errors import DamagedFileError, require
from mtrl.replay import Replay
from mtrl.runs import checkpoint

NAME = re.compile(r"\d+-\d+\.pt")  # of a file in the directory, never the path of a file elsewhere
MAX_FILE_BYTES = 64 * 2**20  # so that neither writing nor reading needs much memory


class ReplayFiles:
    """Writes and reads files of consecutive transitions, which never change, so that checkpoints share them.

    Args:
        path: the directory, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts: list[dict[str, Any]] = []  # name, digest, start, stop; in order, without gaps

    def write(self, replay: Replay) -> dict[str, Any]:
        """Write what was added since the last call; return what :meth:`read` needs to bring all of it back.

        Raises:
            StorageError: if the disk does not take it.
        """
        oldest = replay.added - replay.size
        self._parts = [part for part in self._parts if part["stop"] > oldest]
        start = max(oldest, self._parts[-1]["stop"] if self._parts else 0)
        count = max(1, MAX_FILE_BYTES // replay.packed_bytes)
        for first in range(start, replay.added, count):
            stop = min(first + count, replay.added)
            name = f"{first:010d}-{stop:010d}.pt"
            transitions = {"start": first, "rows": replay.packed(first, stop)}
            digest = checkpoint.save(self.path / name, transitions)
            self._parts.append({"name": name, "digest": digest, "start": first, "stop": stop})
        return {"added": replay.added, "parts": list(self._parts)}

    def read(self, state: dict[str, Any], replay: Replay) -> None:
        """Fill the empty ``replay`` with what it held when :meth:`write` returned ``state``.

        Raises:
            DamagedFileError: if a part is missing or damaged; the replay is left empty.
        """
        try:
            for part in state["parts"]:
                name = part["name"]
                require(NAME.fullmatch(name) is not None, f"{name!r} is not the name of a part of a replay")
                with checkpoint.state_errors(self.path / name):
                    saved = checkpoint.load(self.path / name, torch.device("cpu"), part["digest"])
                    replay.restore(saved["start"], saved["rows"])
            if replay.added != state["added"]:
                raise DamagedFileError(f"the parts of the replay end at {replay.added}, not {state['added']}")
        except Exception:
            replay.clear()
            raise
        self._parts = list(state["parts"])

    def drop_all_but(self, names: set[str]) -> None:
        """Remove the files that no checkpoint names."""
        for path in self.path.glob("*.pt*"):
            if path.name not in names:
                path.unlink()
