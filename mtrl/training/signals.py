"""Defers Ctrl-C and SIGTERM until nothing is half written."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While entered, a first signal sets :attr:`requested`; a second raises ``KeyboardInterrupt`` at once.

    Inside :meth:`immediate`, where no state is half written, the first one raises it too.
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
        self._previous = [signal.signal(number, self._handle) for number in SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in zip(SIGNALS, self._previous, strict=True):
            signal.signal(number, previous)

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
