"""Lists what runs are there: method, seed, step, state and last success of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mtrl.analysis.folders import LeftOut
from mtrl.analysis.grouping import choice_name, methods_of
from mtrl.analysis.runs import Found, Run, by_suite
from mtrl.analysis.tables import MISSING, Table
from mtrl.runs.checkpoint import HEADER, MAX_HEADER_BYTES
from mtrl.runs.directory import RunDirectory
from mtrl.runs.shared_storage import is_locked

TAIL = 2**18  # bytes of a log that hold its last line


@dataclass(frozen=True)
class Listed:
    """What is known of a run, or of a directory that was one."""

    run: str
    suite: str | None
    method: str | None
    seed: int | None
    step: int | None  # of one task, as far as it has logged, evaluated or saved
    steps_per_task: int | None  # of the whole run
    state: str  # finished, running, stopped or damaged
    success: float | None  # of the last evaluation
    reason: str | None = None  # why it is damaged, or cannot go on


def list_runs(found: Found) -> list[Listed]:
    """List the runs and the damaged ones, by their paths."""
    listed = [
        _listed(run, method.label)
        for members in by_suite(found.runs)
        for method in methods_of(members)
        for run in method.runs
    ]
    listed += [_damaged(other) for other in found.left_out if other.damaged]
    return sorted(listed, key=lambda one: one.run)


def _listed(run: Run, method: str) -> Listed:
    state, reason = _state(run)
    total = run.config.get("steps_per_task")
    success = run.evaluations[-1]["mean_success"] if run.evaluations else None
    suite = choice_name(run.config, "env")
    return Listed(str(run.path), suite, method, run.seed, _last_step(run), total, state, success, reason)


def _damaged(other: LeftOut) -> Listed:
    files = RunDirectory(other.path)
    state = "running" if is_locked(files.lock_file) else "damaged"
    return Listed(str(other.path), None, None, None, None, None, state, None, other.reason)


def _state(run: Run) -> tuple[str, str | None]:
    if is_locked(run.files.lock_file):
        return "running", None
    if run.final is not None:
        return "finished", None
    saved = run.files.saved()
    if saved and not any(map(_is_whole, saved)):
        return "damaged", "no checkpoint is whole: it cannot go on"
    if run.evaluations and not saved:
        return "stopped", "its checkpoints are gone: it cannot go on"
    return "stopped", None


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint has the length that its first line says; its content is not read."""
    try:
        with path.open("rb") as file:
            header = HEADER.match(file.read(MAX_HEADER_BYTES))
        return header is not None and path.stat().st_size == header.end() + int(header.group(3))
    except OSError:
        return False


def _last_step(run: Run) -> int:
    """The last that a log or a checkpoint names; 0 where there is none yet."""
    steps = [entry["step"] for entry in run.evaluations]
    steps += [int(name) for path in run.files.saved() if (name := path.stem.removeprefix("step_")).isdigit()]
    return max([*steps, *_last_logged(run.files.metrics)], default=0)


def _last_logged(path: Path) -> Iterator[int]:
    """The steps of the last entries of a log, without reading what is before."""
    if not path.is_file():  # a pipe might never end
        return
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            lines = file.read().splitlines()
    except OSError:  # not for this user, or on a share that is gone
        return
    for line in lines:
        try:
            step = json.loads(line)["step"]
        except (ValueError, LookupError, TypeError, RecursionError):
            continue
        if isinstance(step, int):
            yield step


def listing_table(listed: Sequence[Listed], below: Path | None) -> Table:
    """Build a table with a row for each run.

    Args:
        listed: the runs.
        below: the folder that paths are told from; None for whole paths.
    """
    columns = ["run", "method", "seed", "step", "state", "success"]
    rows = []
    for one in listed:
        path = Path(one.run)
        name = path if below is None or path == below else path.relative_to(below)
        step = MISSING if one.step is None else f"{one.step:,}"
        success = MISSING if one.success is None else f"{one.success:.3f}"
        seed = MISSING if one.seed is None else str(one.seed)
        rows.append([str(name), one.method or MISSING, seed, step, one.state, success])
    title = "Runs" if below is None else f"Runs in {below}"
    return Table(title, columns, rows, "Steps of each task; success of the last evaluation, mean over tasks.")


def listing_records(listed: Sequence[Listed]) -> list[dict[str, object]]:
    """Plain values, for JSON."""
    return [asdict(one) for one in listed]


def listing_rows(listed: Sequence[Listed]) -> Table:
    """Build a table of all that is known, for CSV."""
    records = listing_records(listed)
    columns = list(Listed.__dataclass_fields__)
    rows = [["" if record[name] is None else str(record[name]) for name in columns] for record in records]
    return Table("Runs", columns, rows)
