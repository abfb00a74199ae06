"""Sends what a run logs to Weights & Biases, offline unless told otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from mtrl.errors import UsageError, require
from mtrl.runs.hook import LoggerHook
from mtrl.validation import require_choice

Mode = Literal["offline", "online", "disabled"]


class WeightsAndBiases(LoggerHook):
    """One run of W&B for each run directory, resumed with it.

    Args:
        project: where its runs are collected.
        entity: account or team; None for W&B's default.
        mode: offline writes below the run's directory, for ``wandb sync``; online uploads at once.
    """

    def __init__(self, *, project: str = "mtrl", entity: str | None = None, mode: Mode = "offline") -> None:
        require_choice("logger.mode", mode, ("offline", "online", "disabled"))
        require(
            isinstance(project, str) and project != "", f"logger.project must be a name, found {project!r}"
        )
        try:
            import wandb
        except ImportError as error:
            raise UsageError(
                f"logger=wandb needs Weights & Biases ({error}): pip install -e '.[wandb]', or leave it out"
            ) from error
        self._wandb: Any = wandb
        self._options = {"project": project, "entity": entity, "mode": mode}
        self._run: Any = None

    def begin(self, run_dir: Path, config: Mapping[str, Any], step: int) -> None:
        """Start W&B's run, or go on with the one of the same directory."""
        place = run_dir.resolve()
        self._run = self._wandb.init(
            **self._options,
            id=hashlib.sha256(str(place).encode()).hexdigest()[:16],
            resume="allow",
            name=place.name,
            group=place.parent.name,
            dir=str(place),
            config=dict(config),
            settings=self._wandb.Settings(symlink=False, console="off", silent=True),
        )
        self._run.define_metric("*", step_metric="step")  # W&B's own would not go back after a resume
        self._drop_links()

    def metrics(self, step: int, entry: Mapping[str, Any]) -> None:
        """Log the numbers of the entry."""
        self._log(step, entry)

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        """Log mean success, and success and return of each task."""
        curves = {"evaluation/mean_success": record["mean_success"]}
        for quantity in ("success", "return"):
            curves |= {f"evaluation/{quantity}/{task}": value for task, value in record[quantity].items()}
        self._log(step, curves)

    def end(self) -> None:
        """Have W&B write what is left."""
        if self._run is not None:
            self._run.finish()
            self._drop_links()

    def _drop_links(self) -> None:
        """Remove links to W&B's own logs: a run directory holds none."""
        for path in Path(self._run.dir).parent.rglob("*"):
            if path.is_symlink():
                path.unlink()

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        self._run.log(numbers | {"step": step})
