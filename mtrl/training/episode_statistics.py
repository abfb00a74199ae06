"""Tracks the returns and successes of the training episodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mtrl.types import Step


class EpisodeTracker:
    """Keeps each task's running episodes and the outcome of those that ended since the last report."""

    def __init__(self, task_names: tuple[str, ...], copies: int) -> None:
        self.task_names = task_names
        shape = (len(task_names), copies)
        self._return = np.zeros(shape)  # [K, n]
        self._success = np.zeros(shape, dtype=np.bool_)
        self._ended: list[list[tuple[float, bool]]] = [[] for _ in task_names]

    def add(self, step: Step) -> None:
        """Count one step of every environment."""
        self._return += step.reward
        self._success |= step.success
        ended = step.terminated | step.truncated
        if not ended.any():
            return
        for task, copy in np.argwhere(ended):
            self._ended[task].append((float(self._return[task, copy]), bool(self._success[task, copy])))
        self._return[ended] = 0.0
        self._success[ended] = False

    def forget(self) -> None:
        """Drop the running episodes, which will not be finished."""
        self._return[:] = 0.0
        self._success[:] = False

    def state_dict(self) -> dict[str, Any]:
        """The running episodes, and the outcomes not yet reported."""
        return {
            "return": torch.tensor(self._return),
            "success": torch.tensor(self._success),
            "ended": [[list(outcome) for outcome in outcomes] for outcomes in self._ended],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self._return[:] = state["return"].cpu().numpy()
        self._success[:] = state["success"].cpu().numpy()
        self._ended = [
            [(float(value), bool(success)) for value, success in outcomes] for outcomes in state["ended"]
        ]

    def report(self) -> dict[str, float]:
        """Average return and success, per task, over the episodes that ended since the last call."""
        means: dict[str, float] = {}
        for name, outcomes in zip(self.task_names, self._ended, strict=True):
            if outcomes:
                means[f"train/return/{name}"] = float(np.mean([value for value, _ in outcomes]))
                means[f"train/success/{name}"] = float(np.mean([success for _, success in outcomes]))
                outcomes.clear()
        return means
