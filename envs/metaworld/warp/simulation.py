"""Lets time pass in the worlds of all tasks, each from a recording of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
import warp as wp

WARM_UP = 2  # calls before a recording: kernels are compiled and loaded at their first


class Simulation:
    """Calls functions that launch Warp's kernels, from a recording once they are warm.

    A CUDA device runs them side by side: few worlds leave most of it idle.

    Args:
        functions: one per task, which depend on nothing of each other.
        device: where they launch.
    """

    def __init__(self, functions: Sequence[Callable[[], None]], device: torch.device) -> None:
        self._functions = functions
        self._torch_device = device
        self._device = wp.device_from_torch(device)
        self._calls = 0
        self._graphs: list[wp.Graph] = []
        self._streams = [wp.Stream(self._device) for _ in functions] if device.type == "cuda" else []

    def __call__(self) -> None:
        """Run them all: after what PyTorch has launched, and before what it launches next."""
        self._calls += 1
        with wp.ScopedDevice(self._device):
            if self._calls <= WARM_UP:
                launches = list(self._functions)
            else:
                if not self._graphs:
                    self._graphs = [self._recorded(k) for k in range(len(self._functions))]
                launches = [partial(wp.capture_launch, graph) for graph in self._graphs]
            if not self._streams:
                for launch in launches:
                    launch()
                return
            current = wp.stream_from_torch(torch.cuda.current_stream(self._torch_device))
            for launch, stream in zip(launches, self._streams, strict=True):
                stream.wait_stream(current)
                with wp.ScopedStream(stream, sync_enter=False):
                    launch()
            for stream in self._streams:
                current.wait_stream(stream)

    def _recorded(self, index: int) -> wp.Graph:
        with self._stream(index), wp.ScopedCapture(device=self._device) as capture:
            self._functions[index]()
        return capture.graph

    @contextmanager
    def _stream(self, index: int) -> Iterator[None]:
        if not self._streams:
            yield
            return
        with wp.ScopedStream(self._streams[index]):
            yield
