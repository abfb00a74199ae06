"""Logs the metrics of a run: sums them on the device and moves them to the host once per interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import torch
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from mtrl.errors import StorageError
from mtrl.runs.directory import RunDirectory
from mtrl.types import Metrics

DIGITS = 4  # of the entries of a matrix
SUCCESS = "evaluation/mean_success"

# TensorBoard's tab "custom scalars": charts by title, each of the curves whose names match.
LAYOUT = {
    "success": {
        "mean over tasks": ["Multiline", [SUCCESS]],
        "by task, evaluated": ["Multiline", ["evaluation/success/.*"]],
        "by task, while training": ["Multiline", ["train/success/.*"]],
    },
    "conflict": {
        "share of pairs in conflict": ["Multiline", ["(actor|critic)/conflict_fraction"]],
        "cosines of pairs, mean and least": ["Multiline", ["(actor|critic)/cosine_(mean|min)"]],
        "worst task's improvement": ["Multiline", ["(actor|critic)/worst_improvement"]],
        "weights of the actor's gradients": ["Multiline", ["actor/(tracked_)?weight/.*"]],
        "weights of the critics' gradients": ["Multiline", ["critic/(tracked_)?weight/.*"]],
    },
    "speed": {
        "environment steps per second": ["Multiline", ["time/steps_per_second"]],
        "updates per second": ["Multiline", ["time/updates_per_second"]],
        "share of time for checkpoints": ["Multiline", ["time/checkpoint_share"]],
    },
}


class Logger:
    """Writes metrics.jsonl, evaluations.jsonl and TensorBoard events of one run.

    Args:
        files: the run's directory.
        task_names: names of the K entries of every [K] statistic.
    """

    def __init__(self, files: RunDirectory, task_names: tuple[str, ...]) -> None:
        self.files = files
        self.task_names = task_names
        self._resumed_at: int | None = None
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    @cached_property
    def writer(self) -> SummaryWriter:
        """TensorBoard's; what a killed run wrote after the step of its last checkpoint is not shown."""
        purge = None if self._resumed_at is None else self._resumed_at + 1
        writer = SummaryWriter(str(self.files.path / "tensorboard"), purge_step=purge)
        writer.add_custom_scalars(LAYOUT)
        return writer

    def hyperparameters(self, options: Mapping[str, bool | int | float | str]) -> None:
        """Write the run's options and success for the comparison of runs in TensorBoard's tab "hparams"."""
        for summary in hparams(dict(options), {SUCCESS: 0.0}):  # add_hparams would write a second run
            self._summary(summary, 0)

    def add(self, metrics: Metrics) -> None:
        """Add metrics, 0-d, [K] or [K, K], to the means of the interval; nothing leaves the device."""
        for name, value in metrics.items():
            if name in self._sums:
                self._sums[name] += value
            else:
                self._sums[name] = value.double().clone()
            self._counts[name] = self._counts.get(name, 0) + 1

    def flush(self, step: int, host: Mapping[str, Any]) -> dict[str, Any]:
        """Write the interval's means and the ``host`` values; return the entry.

        Names that start with ``time/`` are the only ones that may differ between two equal runs. A [K, K]
        statistic becomes a list of its entries above the diagonal, row by row, and stays out of TensorBoard.
        """
        entry = {"step": step, **host, **self._means()}
        self.files.append(self.files.metrics, entry)
        self._to_tensorboard(step, entry)
        return entry

    def evaluation(self, step: int, record: Mapping[str, Any], video: bytes | None = None) -> None:
        """Write one evaluation, and its video, a GIF, which TensorBoard shows among its images."""
        self.files.append(self.files.evaluations, {"step": step, **record})
        curves = {SUCCESS: record["mean_success"]}
        for quantity in ("success", "return"):
            curves |= {f"evaluation/{quantity}/{task}": value for task, value in record[quantity].items()}
        self._to_tensorboard(step, curves)
        if video is not None:
            image = Summary.Image(encoded_image_string=video, colorspace=3)
            self._summary(Summary(value=[Summary.Value(tag="evaluation/video", image=image)]), step)

    def state_dict(self) -> dict[str, Any]:
        """The sums and counts of the current interval."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: dict[str, Any], step: int) -> None:
        """Load what :meth:`state_dict` returned after ``step``."""
        self._sums, self._counts, self._resumed_at = state["sums"], state["counts"], step

    def close(self) -> None:
        """Close the TensorBoard file."""
        with suppress(OSError):  # its last curves, which metrics.jsonl has too
            self.writer.close()

    def _to_tensorboard(self, step: int, curves: Mapping[str, Any]) -> None:
        with self._storage():
            for name, value in curves.items():
                if not isinstance(value, list):
                    self.writer.add_scalar(name, value, step)
            self.writer.flush()

    def _summary(self, summary: Summary, step: int) -> None:
        with self._storage():
            file: Any = self.writer.file_writer
            file.add_summary(summary, step)
            file.flush()

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(self.files.path / "tensorboard", error) from error

    def _means(self) -> dict[str, float | list[float]]:
        if not self._sums:
            return {}
        sizes = [value.numel() for value in self._sums.values()]
        means = [value.flatten() / self._counts[name] for name, value in self._sums.items()]
        host = iter(torch.cat(means).tolist())  # the interval's one transfer from the device
        named: dict[str, float | list[float]] = {}
        for name, size in zip(self._sums, sizes, strict=True):
            dimensions = self._sums[name].ndim
            if dimensions == 0:
                named[name] = next(host)
            elif dimensions == 2:
                named[name] = _above_diagonal([next(host) for _ in range(size)])
            else:
                named |= {f"{name}/{task}": next(host) for task in self.task_names[:size]}
        self._sums.clear()
        self._counts.clear()
        return named


def _above_diagonal(matrix: list[float]) -> list[float]:
    """Entries i < j of a flattened [K, K], rounded, since whole matrices would outgrow the log."""
    num = math.isqrt(len(matrix))
    return [round(matrix[i * num + j], DIGITS) for i in range(num) for j in range(i + 1, num)]
