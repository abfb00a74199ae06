"""Hands what a run logs to a class of the user's, such as one that feeds an experiment tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


class LoggerHook:
    """Receives what a run logs: derive from it, and override what you need.

    Name the class with ``logger._target_=my_file.MyHook``; its options stand beside it. It is made before the
    run's directory, so that what it lacks is found out early.
    """

    def begin(self, run_dir: Path, config: Mapping[str, Any], step: int) -> None:
        """Called before the first step of this process.

        Args:
            run_dir: the run's directory.
            config: its resolved configuration, plain values.
            step: of one task, that it goes on from; 0 for a new run.
        """

    def metrics(self, step: int, entry: Mapping[str, Any]) -> None:
        """Called with each entry of metrics.jsonl: numbers, and lists of numbers for cosines."""

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        """Called with each entry of evaluations.jsonl; ``record["final"]`` marks the last one."""

    def end(self) -> None:
        """Called once, whatever ended the run."""


class Listener:
    """Calls a hook until it fails: training is not lost for a tracker that is.

    Args:
        hook: what is called; None for nothing.
        say: told why it is called no more.
    """

    def __init__(self, hook: LoggerHook | None, say: Callable[[str], None]) -> None:
        self._hook = hook
        self._say = say

    def tell(self, method: str, *arguments: Any) -> None:
        """Call a method of the hook."""
        if self._hook is None:
            return
        try:
            getattr(self._hook, method)(*arguments)
        except Exception as error:  # whatever a user's class raises
            kind = type(self._hook)
            self._hook = None
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._say(
                f"logger {kind.__module__}.{kind.__qualname__} failed in {method} ({reason}): the run "
                "goes on without it, and logs to its own files"
            )
