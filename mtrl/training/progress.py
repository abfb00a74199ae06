"""Shows the progress of a run: a bar and tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import errno
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from mtrl.training.evaluation import Evaluation

SILENCE = 30.0  # seconds without a terminal after which a line says that the run goes on
RECENT = 20  # reports that the time left is estimated from


class Display:
    """Shows the progress and the results of one run.

    Args:
        console: where to write. On a terminal the progress bar stays at the bottom; otherwise only
            lines are written, one per report.
        total_steps: steps per task of the whole run.
    """

    def __init__(self, console: Console, total_steps: int) -> None:
        self.console = console
        self.total_steps = total_steps
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._said = time.monotonic()
        self._seen: deque[tuple[float, int]] = deque(maxlen=RECENT)  # times and steps
        self.failure: OSError | None = None  # since which nothing more is shown

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn("step"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rates]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[success]}"),
                console=self.console,
            )
            self._task = self._bar.add_task("", total=self.total_steps, rates="", success="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            with self._enduring():
                self._bar.stop()

    def message(self, text: str) -> None:
        """Print one line of information."""
        with self._enduring():
            self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    @contextmanager
    def _enduring(self) -> Iterator[None]:
        """Keep the failure of an output that takes no more: a step is not to be left half done for it."""
        try:
            yield
        except OSError as error:
            self.failure = self.failure or error
        except SystemExit:  # what rich makes of a reader that has gone
            self.failure = self.failure or BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def advance(self, step: int) -> None:
        """Move the bar; without a terminal a line where none was written for long."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)
            return
        now = time.monotonic()
        if not self._seen:
            self._seen.append((now, step))
        if now - self._said > SILENCE:
            self._line(step)

    def report(
        self, step: int, steps_per_second: float, updates_per_second: float, success: float | None
    ) -> None:
        """Show the rates since the last report and the mean success of the latest evaluation."""
        rates = f"{steps_per_second:.0f} steps/s  {updates_per_second:.1f} updates/s"
        shown = "" if success is None else f"success {success:.2f}"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, rates=rates, success=shown)
        else:
            self._line(step, rates, shown)

    def _line(self, step: int, *words: str) -> None:
        left = self._left(step)
        words = (*words, f"{duration(left)} left" if left else "")
        self.message("  ".join([f"step {step}/{self.total_steps}", *filter(None, words)]))

    def _left(self, step: int) -> float | None:
        """Seconds to the last step, at the speed of the last reports, evaluations among them."""
        now = self._said = time.monotonic()
        before, first = self._seen[0] if self._seen else (now, step)
        self._seen.append((now, step))
        return (self.total_steps - step) * (now - before) / (step - first) if step > first else None

    def evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Print a table with one row per task, or plain lines without a terminal."""
        returns = evaluation.returns.mean(axis=1)
        rows = list(zip(evaluation.task_names, evaluation.success_rates, returns, strict=True))
        title = f"evaluation at {step} steps per task, {evaluation.success.shape[1]} episodes each"
        if not self.console.is_terminal:
            self.message(f"{title}: mean success {evaluation.mean_success:.3f}")
            for name, success, mean_return in rows:
                self.message(f"  {name:<28} success {success:.2f}  return {mean_return:.1f}")
            return
        table = Table(title=title)
        table.add_column("task")
        table.add_column("success", justify="right")
        table.add_column("return", justify="right")
        for name, success, mean_return in rows:
            table.add_row(name, f"{success:.2f}", f"{mean_return:.1f}")
        table.add_section()
        table.add_row("mean", f"{evaluation.mean_success:.3f}", f"{returns.mean():.1f}")
        with self._enduring():
            self.console.print(table)

    def finished(self, step: int, evaluation: Evaluation, run_dir: Path) -> None:
        """Say what became of the run, and where it is."""
        tasks, episodes = evaluation.success.shape
        over = f", mean over {tasks} tasks" if tasks > 1 else ""
        self.message(
            f"finished after {step:,} steps per task: success {evaluation.mean_success:.3f}{over}, "
            f"{episodes} episodes each\nrun: {run_dir}"
        )


def duration(seconds: float) -> str:
    """It in the units that one thinks in: ``40 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"
