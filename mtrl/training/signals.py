"""Defers the signals that end a run until nothing is half written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM)
# A terminal that goes away sends SIGHUP, SLURM warns with the others before a job's time is up. Taken over
# only where nobody has decided otherwise: nohup has SIGHUP ignored, other programs may use all of them.
WARNING = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def ignore_further() -> None:
    """Let nothing more end this process, whose last words are left to say; it is about to end by itself."""
    for number in (*ENDING, *WARNING):
        signal.signal(number, signal.SIG_IGN)


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
    """While entered, a first signal sets :attr:`requested`; a second Ctrl-C raises ``KeyboardInterrupt``.

    Other signals may come as often as they like: schedulers send several, and to a run of a sweep both they
    and the sweep send one. Inside :meth:`immediate`, where no state is half written, the first one raises
    too. Outside the main thread, where Python lets nobody handle signals, they are left to whoever does.
    """

    def __init__(self) -> None:
        self.signal: int | None = None  # the first one
        self.insisted = False  # the state may be half written
        self._interrupts = 0  # how many were Ctrl-C
        self._prepare: Callable[[], None] | None = None  # set where a signal leaves at once
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            free = [number for number in WARNING if signal.getsignal(number) is signal.SIG_DFL]
            self._previous = {number: signal.signal(number, self._handle) for number in (*ENDING, *free)}
        return self

    def __exit__(self, *_: object) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    @contextmanager
    def immediate(self, prepare: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Mark a section that a signal may abandon at any point, after a call of ``prepare``."""
        if self.requested:
            raise KeyboardInterrupt
        self._prepare = prepare
        try:
            yield
        finally:
            self._prepare = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = self.signal or number
        self._interrupts += number == signal.SIGINT
        self.insisted = self._interrupts > 1
        if self.insisted:
            raise KeyboardInterrupt
        if self._prepare is not None:
            prepare, self._prepare = self._prepare, None
            prepare()
            raise KeyboardInterrupt
