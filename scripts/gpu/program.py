"""Runs other programs with a time limit, their output in a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

GRACE = 15.0  # seconds that a program gets to end after it is asked to


class Program:
    """Is a command that is not started yet.

    Args:
        command: and its arguments.
        folder: where it runs.
        log: what it prints goes there.
        environment: variables beside the present ones.
    """

    def __init__(self, command: list[str], folder: Path, log: Path, environment: dict[str, str]) -> None:
        self.command = command
        self.folder = folder
        self.log = log
        self.environment = {**os.environ, **environment}

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in a group of its own, which is ended with it."""
        with self.log.open("wb") as out:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """What it has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""


def run_all(programs: list[Program], seconds: float) -> list[int]:
    """Run ``programs`` side by side for at most ``seconds``; return their exit statuses."""
    end = time.monotonic() + seconds
    running = [program.start() for program in programs]
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, end - time.monotonic()))
    for ending in (signal.SIGTERM, signal.SIGKILL):
        late = [process for process in running if process.poll() is None]
        for process in late:
            os.killpg(process.pid, ending)
        for process in late:
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
    return [process.wait() for process in running]


def json_lines(file: Path) -> list[dict[str, Any]]:
    """Read rows: one a line, or all as one document; none where there is no file."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    try:
        whole = json.loads(text or "[]")
    except json.JSONDecodeError:  # of a process that was stopped the last line may be cut
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return whole if isinstance(whole, list) else [whole]
