"""Lets time pass in the worlds of all tasks, as one recording of the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
import warp as wp

WARM_UP = 2  # calls before the recording: kernels are compiled and loaded at their first


class Simulation:
    """Calls functions that launch Warp's kernels, on CUDA side by side, and replays them from a recording.

    Args:
        functions: one per task, which depend on nothing of each other.
        device: where they launch.
        record: whether to replay a recording.
    """

    def __init__(
        self, functions: Sequence[Callable[[], None]], device: torch.device, *, record: bool
    ) -> None:
        self._functions = functions
        self._device = device
        self._on_cuda = device.type == "cuda"
        self._record = record
        self._calls = 0
        self._graph: wp.Graph | None = None
        warp_device = wp.device_from_torch(device)
        self._streams = [wp.Stream(warp_device) for _ in functions] if self._on_cuda else []

    def __call__(self) -> None:
        """Run them all, in the order of PyTorch's current stream."""
        with ExitStack() as stack:
            stack.enter_context(wp.ScopedDevice(wp.device_from_torch(self._device)))
            if self._on_cuda:
                current = wp.stream_from_torch(torch.cuda.current_stream(self._device))
                stack.enter_context(wp.ScopedStream(current))
            self._calls += 1
            if not self._record or self._calls <= WARM_UP:
                self._run()
                return
            if self._graph is None:
                with wp.ScopedCapture() as capture:
                    self._run()
                self._graph = capture.graph
            wp.capture_launch(self._graph)

    def _run(self) -> None:
        if not self._streams:
            for function in self._functions:
                function()
            return
        current = wp.get_stream()
        for function, stream in zip(self._functions, self._streams, strict=True):
            stream.wait_stream(current)
            with wp.ScopedStream(stream, sync_enter=False):
                function()
            current.wait_stream(stream)
