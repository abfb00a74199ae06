"""Records programs of the device once and replays them: no launches by the host, no allocation."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch

from mtrl.errors import UsageError
from mtrl.types import Metrics, Transition

WARM_UP = 3  # calls before a recording: libraries, compilers and optimisers set themselves up at their first

Say = Callable[[str], None]
Function = Callable[[], object]


class Replayable(Protocol):
    """What a recording gives: a CUDA graph, or what stands for one in a test."""

    def replay(self) -> None:
        """Queue everything that was recorded."""


class Recorder:
    """Records what functions launch on a CUDA device; after a failure none is recorded any more.

    Args:
        device: a CUDA device.
        generators: those that the functions draw from, besides PyTorch's own.
        strict: whether a failure is an error.
        say: told of a failure otherwise.

    Attributes:
        active: whether programs are recorded and replayed.
        epoch: recordings of earlier epochs are not replayed any more.
    """

    def __init__(
        self, device: torch.device, generators: tuple[torch.Generator, ...], *, strict: bool, say: Say
    ) -> None:
        self.device = device
        self.generators = generators
        self.strict = strict
        self.say = say
        self.active = True
        self.epoch = 0
        self._pool: Any = None  # of memory, for all recordings: one runs at a time

    def forget(self) -> None:
        """Have every program recorded anew: memory that they use has moved."""
        self.epoch += 1

    def record(self, function: Function) -> Replayable | None:
        """Record ``function``, which runs without effect on the device; None if that cannot be done.

        Raises:
            UsageError: if it cannot be done and ``strict`` was asked for.
        """
        try:
            return self.capture(function)
        except (torch.OutOfMemoryError, UsageError):
            raise
        except RuntimeError as error:
            self.active = False
            self._recover()
            reason = str(error).strip().splitlines()[0]
            if self.strict:
                raise UsageError(
                    f"cudagraphs=true: this update cannot be recorded: {reason}; use cudagraphs=auto or false"
                ) from error
            self.say(f"no CUDA graphs: {reason}; going on without")
            return None

    def capture(self, function: Function) -> Replayable:
        """Record ``function`` as a CUDA graph."""
        graph = torch.cuda.CUDAGraph()
        # The stream of before comes back even where PyTorch's own context fails at its end.
        with torch.cuda.device(self.device), torch.cuda.stream(torch.cuda.current_stream()):
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            for generator in self.generators:
                graph.register_generator_state(generator)
            # Other threads may use the card meanwhile.
            recording = torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local")
            with without_collector(), recording:
                function()
        return graph

    def _recover(self) -> None:
        """Bring device and generators back to a state in which functions run as they are."""
        torch.cuda.synchronize(self.device)
        index = torch.cuda.current_device() if self.device.index is None else self.device.index
        for generator in (*self.generators, torch.cuda.default_generators[index]):
            # A recording that was cut short leaves the old state waiting for its end.
            generator.graphsafe_set_state(generator.clone_state())


@contextmanager
def without_collector() -> Iterator[None]:
    """Collect garbage now and not meanwhile: a CUDA graph freed during a recording ends the process."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Program:
    """Runs a function without arguments; where there is a recorder, from the fourth call on as a recording.

    Args:
        function: reads and writes tensors that stay where they are, and never waits for the device. What it
            does on the host, it does in recorded calls once.
        recorder: None for plain calls.
    """

    def __init__(self, function: Function, recorder: Recorder | None) -> None:
        self.function = function
        self.recorder = recorder
        self._calls = 0
        self._epoch = 0
        self._recording: Replayable | None = None

    def __call__(self) -> None:
        """Run it, once."""
        recorder = self.recorder
        if recorder is None or not recorder.active or self._calls < WARM_UP:
            self._calls += 1
            self.function()
            return
        if self._recording is None or self._epoch != recorder.epoch:
            self._recording = None  # its memory is free for the next one
            self._recording, self._epoch = recorder.record(self.function), recorder.epoch
        if self._recording is None:
            self.function()
        else:
            self._recording.replay()


class GraphedUpdate:
    """Makes a program of an agent's update alone, for whoever has no training loop around it.

    The batch is copied to where the program reads, and metrics are valid until the next update.

    Args:
        update: that of an agent whose optimisers are capturable and which never waits for the device.
        recorder: of the agent's device.
    """

    def __init__(self, update: Callable[[Transition, bool], Metrics], recorder: Recorder) -> None:
        self.update = update
        self._batch: Transition | None = None
        self._metrics: Metrics = {}
        self._programs = {
            diagnose: Program(partial(self._run, diagnose), recorder) for diagnose in (False, True)
        }

    def __call__(self, batch: Transition, diagnose: bool) -> Metrics:
        """Update the agent on ``batch``."""
        if self._batch is None:
            self._batch = Transition(*(field.clone() for field in batch))
        for static, field in zip(self._batch, batch, strict=True):
            static.copy_(field)
        self._programs[diagnose]()
        return dict(self._metrics)

    def _run(self, diagnose: bool) -> None:
        assert self._batch is not None
        self._metrics = self.update(self._batch, diagnose)
