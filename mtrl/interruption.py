"""Ctrl-C that waits until nothing is half done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interruption:
    """While entered, a first Ctrl-C sets :attr:`requested`; a second raises ``KeyboardInterrupt`` at once.

    Inside :meth:`immediate`, where no state is half written, the first one raises it too.
    """

    def __init__(self) -> None:
        self.requested = False
        self.insisted = False  # the state may be half written
        self._immediate = False
        self._previous: Any = None

    def __enter__(self) -> Interruption:
        self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    @contextmanager
    def immediate(self) -> Iterator[None]:
        """Mark a section that may be abandoned at any point."""
        self._immediate = True
        try:
            yield
        finally:
            self._immediate = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.insisted = self.requested
        self.requested = True
        if self.insisted or self._immediate:
            raise KeyboardInterrupt
