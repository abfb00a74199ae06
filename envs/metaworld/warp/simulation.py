"""Lets time pass in the worlds of all tasks, each from a recording of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
import warp as wp

STREAMS = 16  # PyTorch has 32, and needs some for itself
WARM_UP = 2  # calls before a recording: kernels are compiled and loaded at their first


class Simulation:
    """Calls functions that launch Warp's kernels, from a recording once they are warm.

    A CUDA device runs them side by side, and beside PyTorch's own work: few worlds leave most of it idle. So
    their streams are PyTorch's. Warp's own wait for all that the default stream does, and it for them, even
    for the recording of an event: ten tasks would run one after another.

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
        count = len(functions) if device.type == "cuda" else 0
        self._streams = [_side_stream(device, index % STREAMS) for index in range(count)]

    def __call__(self) -> None:
        """Run them all, after what PyTorch has launched, and beside what it launches until :meth:`join`."""
        self._calls += 1
        with wp.ScopedDevice(self._device):
            if self._calls > WARM_UP:
                self._replay()
            elif not self._streams:
                self._run()
            else:  # not side by side: Warp frees what they allocate as soon as Python lets go of it
                with wp.ScopedStream(self._current(), sync_enter=False):
                    self._run()

    def join(self) -> None:
        """Have what PyTorch launches next wait for them."""
        if self._streams:
            current = self._current()
            for stream in self._streams:
                current.wait_stream(stream)

    def close(self) -> None:
        """Wait until nothing runs: Warp frees memory without asking streams of others."""
        self.join()
        if self._streams:
            torch.cuda.synchronize(self._torch_device)

    def _run(self) -> None:
        for function in self._functions:
            function()

    def _replay(self) -> None:
        if not self._graphs:
            self._graphs = [self._recorded(index) for index in range(len(self._functions))]
        if not self._streams:
            for graph in self._graphs:
                wp.capture_launch(graph)
            return
        ready = self._current().record_event()
        for graph, stream in zip(self._graphs, self._streams, strict=True):
            stream.wait_event(ready)
            wp.capture_launch(graph, stream)

    def _recorded(self, index: int) -> wp.Graph:
        stream = self._streams[index] if self._streams else None
        with wp.ScopedStream(stream), wp.ScopedCapture(device=self._device) as capture:
            self._functions[index]()
        return capture.graph

    def _current(self) -> wp.Stream:
        """Return the stream that PyTorch launches on."""
        return wp.stream_from_torch(torch.cuda.current_stream(self._torch_device))


@cache
def _side_stream(device: torch.device, index: int) -> wp.Stream:
    """Make a stream once for the process: Warp forgets a stream of PyTorch's with the first object for it."""
    make: Any = torch.cuda.Stream  # which has no types
    return wp.stream_from_torch(make(device))
