"""Defers Ctrl-C and SIGTERM until nothing is half written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RunInterruptedError(KeyboardInterrupt):
    """A signal ended a run, after its last checkpoint was written.

    Args:
        signal: which.
        step: environment steps of one task up to that checkpoint.
        run_dir: where the run can go on from.
    """

    def __init__(self, signal: int, step: int, run_dir: Path) -> None:
        super().__init__(
            f"interrupted at step {step}; to go on: the same mtrl.Experiment with "
            f"run_dir={str(run_dir)!r} and resume=True"
        )
        self.signal = signal
        self.step = step
        self.run_dir = run_dir


class Interruption:
    """While entered, a first signal sets :attr:`requested`; a second raises ``KeyboardInterrupt`` at once.

    Inside :meth:`immediate`, where no state is half written, the first one raises it too. Outside the main
    thread, where Python lets nobody handle signals, they are left to whoever does.
    """

    def __init__(self) -> None:
        self.signal: int | None = None  # the first one
        self.insisted = False  # the state may be half written
        self._immediate = False
        self._previous: list[Any] = []

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._previous = [signal.signal(number, self._handle) for number in SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        while self._previous:
            previous = self._previous.pop()
            signal.signal(SIGNALS[len(self._previous)], previous)

    @contextmanager
    def immediate(self) -> Iterator[None]:
        """Mark a section that a signal may abandon at any point."""
        if self.requested:
            raise KeyboardInterrupt
        self._immediate = True
        try:
            yield
        finally:
            self._immediate = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.insisted = self.requested
        self.signal = self.signal or number
        if self.insisted or self._immediate:
            raise KeyboardInterrupt
