"""Logs the metrics of a run: sums them on the device and moves them to the host once per interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
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
from mtrl.runs.hook import Listener, LoggerHook
from mtrl.types import Metrics

DIGITS = 4  # of the entries of a matrix
SUCCESS = "evaluation/mean_success"

Layout = tuple[tuple[str, tuple[int, ...]], ...]  # names and shapes of metrics that come together

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
        self._listener = Listener(None, print)
        self._sums: dict[Layout, Tensor] = {}  # [E + 1] float64, one after another; last how many were added

    @cached_property
    def writer(self) -> SummaryWriter:
        """TensorBoard's; what a killed run wrote after the step of its last checkpoint is not shown."""
        purge = None if self._resumed_at is None else self._resumed_at + 1
        writer = SummaryWriter(str(self.files.path / "tensorboard"), purge_step=purge)
        writer.add_custom_scalars(LAYOUT)
        return writer

    def attach(
        self, hook: LoggerHook | None, config: Mapping[str, Any], step: int, say: Callable[[str], None]
    ) -> None:
        """Hand what is logged to a ``hook`` too, which begins at ``step``; ``say`` is told if it fails."""
        self._listener = Listener(hook, say)
        self._listener.tell("begin", self.files.path, config, step)

    def hyperparameters(self, options: Mapping[str, bool | int | float | str]) -> None:
        """Write the run's options and success for the comparison of runs in TensorBoard's tab "hparams"."""
        for summary in hparams(dict(options), {SUCCESS: 0.0}):  # add_hparams would write a second run
            self._summary(summary, 0)

    def add(self, metrics: Metrics) -> None:
        """Add metrics, 0-d, [K] or [K, K], to the means of the interval; nothing leaves the device.

        Updates that measure the same share a sum, whose memory stays where it is, for recorded graphs.
        """
        if not metrics:
            return
        layout = tuple((name, tuple(value.shape)) for name, value in metrics.items())
        parts = [value.double().flatten() for value in metrics.values()]
        values = torch.cat([*parts, torch.ones_like(parts[0][:1])])
        if layout in self._sums:
            self._sums[layout] += values
        else:
            self._sums[layout] = values

    def flush(self, step: int, host: Mapping[str, Any]) -> dict[str, Any]:
        """Write the interval's means and the ``host`` values; return the entry.

        Names that start with ``time/`` are the only ones that may differ between two equal runs. A [K, K]
        statistic becomes a list of its entries above the diagonal, row by row, and stays out of TensorBoard.
        """
        entry = {"step": step, **host, **self._means()}
        self.files.append(self.files.metrics, entry)
        self._to_tensorboard(step, entry)
        self._listener.tell("metrics", step, entry)
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
        self._listener.tell("evaluation", step, {"step": step, **record})

    def state_dict(self) -> dict[str, Any]:
        """The sums and counts of the current interval, once for each set of metrics that came together."""
        return {"parts": [_unpacked(layout, sums) for layout, sums in self._sums.items()]}

    def load_state_dict(self, state: dict[str, Any], step: int) -> None:
        """Load what :meth:`state_dict` returned after ``step``."""
        self._sums, self._resumed_at = {}, step
        for part in state["parts"] if "parts" in state else _by_count(state):
            sums = part["sums"]
            layout = tuple((name, tuple(value.shape)) for name, value in sums.items())
            flat = [value.double().flatten() for value in sums.values()]
            self._sums[layout] = torch.cat([*flat, flat[0].new_tensor([part["count"]])])

    def close(self) -> None:
        """Close the TensorBoard file, and end the hook."""
        self._listener.tell("end")
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
        host = iter(torch.cat(list(self._sums.values())).tolist())  # the interval's one transfer
        sums: dict[str, list[float]] = {}
        counts: dict[str, float] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for layout in self._sums:
            values = {name: [next(host) for _ in range(math.prod(shape))] for name, shape in layout}
            count = next(host)
            if count == 0:  # no such update since the last entry
                continue
            for (name, shape), found in zip(layout, values.values(), strict=True):
                sums[name] = [a + b for a, b in zip(sums.get(name, [0.0] * len(found)), found, strict=True)]
                counts[name] = counts.get(name, 0) + count
                shapes[name] = shape
        for total in self._sums.values():
            total.zero_()
        named: dict[str, float | list[float]] = {}
        for name, shape in shapes.items():
            means = [value / counts[name] for value in sums[name]]
            if len(shape) == 0:
                named[name] = means[0]
            elif len(shape) == 2:
                named[name] = _above_diagonal(means)
            else:
                named |= {
                    f"{name}/{task}": value for task, value in zip(self.task_names, means, strict=False)
                }
        return named


def _unpacked(layout: Layout, sums: Tensor) -> dict[str, Any]:
    """The sums of one layout by name, and how many were added."""
    sizes = [math.prod(shape) for _, shape in layout]
    *parts, count = torch.split(sums, [*sizes, 1])
    named = {name: part.view(shape) for (name, shape), part in zip(layout, parts, strict=True)}
    return {"sums": named, "count": count.item()}


def _by_count(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The state of release 0.1.0, which kept a sum and a count for each name."""
    parts: dict[int, dict[str, Tensor]] = {}
    for name, count in state["counts"].items():
        parts.setdefault(count, {})[name] = state["sums"][name]
    return [{"sums": sums, "count": count} for count, sums in parts.items()]


def _above_diagonal(matrix: list[float]) -> list[float]:
    """Entries i < j of a flattened [K, K], rounded, since whole matrices would outgrow the log."""
    num = math.isqrt(len(matrix))
    return [round(matrix[i * num + j], DIGITS) for i in range(num) for j in range(i + 1, num)]
