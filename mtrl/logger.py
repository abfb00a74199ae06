"""Metrics of a run: summed on the device, moved to the host once per interval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from mtrl.run_directory import RunDirectory
from mtrl.types import Stats


class Logger:
    """Writes metrics.jsonl, evaluations.jsonl and TensorBoard events of one run.

    Args:
        files: of the run.
        task_names: names of the K entries of every [K] statistic.
    """

    def __init__(self, files: RunDirectory, task_names: tuple[str, ...]) -> None:
        self.files = files
        self.task_names = task_names
        self.writer = SummaryWriter(str(files.path / "tensorboard"))
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, stats: Stats) -> None:
        """Add statistics, 0-d or [K], to the means of the current interval; nothing leaves the device."""
        for name, value in stats.items():
            if name in self._sums:
                self._sums[name] += value
            else:
                self._sums[name] = value.double().clone()
            self._counts[name] = self._counts.get(name, 0) + 1

    def flush(self, step: int, host: Mapping[str, Any]) -> dict[str, Any]:
        """Write the interval's means and the ``host`` values; returns the row.

        Names that start with ``time/`` are the only ones that may differ between two equal runs.
        """
        row = {"step": step, **host, **self._means()}
        _append(self.files.metrics, row)
        for name, value in row.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()
        return row

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        """Write one evaluation."""
        _append(self.files.evaluations, {"step": step, **record})
        self.writer.add_scalar("evaluation/mean_success", record["mean_success"], step)
        for quantity in ("success", "return"):
            for task, value in record[quantity].items():
                self.writer.add_scalar(f"evaluation/{quantity}/{task}", value, step)
        self.writer.flush()

    def close(self) -> None:
        """Close the TensorBoard file."""
        self.writer.close()

    def _means(self) -> dict[str, float]:
        if not self._sums:
            return {}
        sizes = [value.numel() for value in self._sums.values()]
        means = [value.flatten() / self._counts[name] for name, value in self._sums.items()]
        host = iter(torch.cat(means).tolist())  # the interval's one transfer from the device
        row = {}
        for name, size in zip(self._sums, sizes, strict=True):
            if self._sums[name].ndim == 0:
                row[name] = next(host)
            else:
                row |= {f"{name}/{task}": next(host) for task in self.task_names[:size]}
        self._sums.clear()
        self._counts.clear()
        return row


def _append(path: Path, row: Mapping[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
