"""The files of one run, and who may write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from mtrl import checkpoint
from mtrl.errors import UsageError, require


class RunDirectory:
    """Names the files of a run: config.yaml, manifest.json, metrics.jsonl, evaluations.jsonl, checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.manifest = path / "manifest.json"
        self.metrics = path / "metrics.jsonl"
        self.evaluations = path / "evaluations.jsonl"
        self.checkpoints = path / "checkpoints"
        self.replay = path / "replay.pt"

    def claim(self) -> None:
        """Make the directory for a new run; one that holds a run already is left untouched."""
        if self.manifest.exists():
            remedy = f"continue it with resume={self.path}" if not self.finished() else "it is finished"
            raise UsageError(
                f"run_dir {self.path} already holds a run ({remedy}); choose another run_dir or remove it"
            )
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot create run_dir {self.path}: {error.strerror}") from error

    def finished(self) -> bool:
        """Whether the run reached its last step and its final evaluation."""
        if not self.evaluations.exists():
            return False
        return any(json.loads(line)["final"] for line in self.evaluations.read_text().splitlines())

    def require_run(self) -> None:
        """Raise unless this is the directory of a run that wrote a checkpoint."""
        require(self.path.is_dir(), f"no run directory at {self.path}")
        require(self.config.is_file(), f"{self.path} is no run directory: it has no {self.config.name}")
        require(len(self.saved()) > 0, f"{self.path} has no checkpoint yet: nothing to load")

    def saved(self) -> list[Path]:
        """Checkpoint files, oldest first."""
        return sorted(self.checkpoints.glob("step_*.pt"))

    def save(self, step: int, state: dict[str, Any], keep: int) -> Path:
        """Write the checkpoint of ``step`` and drop all but the last ``keep``."""
        path = self.checkpoints / f"step_{step:010d}.pt"
        checkpoint.save(path, {"step": step, **state})
        for old in self.saved()[:-keep]:
            old.unlink()
        return path

    def load_last(self, device: torch.device) -> dict[str, Any]:
        """The newest checkpoint, tensors on ``device``."""
        self.require_run()
        return checkpoint.load(self.saved()[-1], device)

    def rewind(self, step: int) -> None:
        """Drop the rows of metrics and evaluations that a killed run wrote after ``step``."""
        for path in (self.metrics, self.evaluations):
            if path.exists():
                kept = [line for line in path.read_text().splitlines() if _row_step(line) <= step]
                path.write_text("".join(line + "\n" for line in kept))

    def write_manifest(self, facts: dict[str, Any]) -> None:
        """Write manifest.json."""
        self.manifest.write_text(json.dumps(facts, indent=2) + "\n")


def _row_step(line: str) -> float:
    """The step of a row; infinity for a line that was cut short."""
    try:
        return json.loads(line)["step"]
    except json.JSONDecodeError:
        return float("inf")
