"""Starts the runs of a sweep, watches them, and says what became of them.

Whatever launches them, each run is a process of its own, so that one that is killed takes no other along. A
launcher passes on no more than the number of a run. The rest stands in a folder of this sweep's own, where
each run's process and its end are written down too: other sweeps beside it are none of its business.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from mtrl import child_process
from mtrl.config.compose import compose_choices
from mtrl.config.literals import literal, named, option_of
from mtrl.config.pasted import STARTED_BY, shell_command
from mtrl.config.resume import names_of
from mtrl.config.sweep import compared, folder_of, run_name
from mtrl.errors import UsageError
from mtrl.path_overrides import path_override
from mtrl.runs.directory import RunDirectory

PLAN, STOPPED = "plan.json", "stopped"
RECORD = ".run.json"
WATCH = 1.0  # seconds between two looks at whether the sweep is stopped
SOON, PATIENCE = 3.0, 60.0  # seconds for the ends of runs to be written down, here and on other machines


def write_plan(runs: Sequence[Sequence[str]], started_by: Sequence[str]) -> Path:
    """Make the folder of a sweep and write into it what is to be run, and how the user started it."""
    records = folder_of(runs[0]) / f".sweep-{uuid4().hex[:8]}"
    try:
        records.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"cannot create run_dir {records.parent}: {error.strerror}") from error
    text = json.dumps({"runs": [list(run) for run in runs], "started_by": list(started_by)})
    (records / PLAN).write_text(text, encoding="utf-8")
    return records


def run_one(records: Path, number: int) -> None:
    """Start, resume or skip a run of the plan, and write down what became of it."""
    if (records / STOPPED).exists():
        return
    plan = json.loads((records / PLAN).read_text(encoding="utf-8"))
    overrides = plan["runs"][number]
    config, choices = compose_choices(overrides)
    parts = names_of(config, choices, named(overrides))
    name = run_name(overrides, parts, config.seed, compared(plan["runs"]))
    files = RunDirectory(folder_of(overrides) / name)
    mine = [text for text in overrides if option_of(text) != "run_dir"]
    again = shell_command(plan["started_by"], *mine, path_override("run_dir", files.path), "resume=auto")
    record = {"command": again, "status": None, "host": _host(), "watcher": os.getpid()}
    if files.finished():
        _write(records, name, record | {"status": 0})
        _say(f"{name}: finished before")
        return
    log = files.path.with_name(f"{name}.log")
    _say(f"{name}: {'goes on' if files.config.exists() else 'starts'}, output in {log}")
    begin = time.monotonic()
    place = f"run_dir={literal(str(files.path))}"
    with log.open("a", encoding="utf-8") as output:
        process = subprocess.Popen(
            child_process.command("mtrl.cli.train", *mine, place, "resume=auto"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=child_process.bound_environment() | {STARTED_BY: shlex.join(plan["started_by"])},
        )
        try:
            _write(records, name, record | {"process": process.pid})  # stays so if this process is killed too
            status = _wait(process, records)
        except BaseException:  # a signal, of which the run may know or not
            process.terminate()
            _write(records, name, record | {"status": process.wait()})
            raise
    _write(records, name, record | {"status": status})
    ending = "finished" if files.finished() else f"ended with {_describe(status)}"
    _say(f"{name}: {ending}, {time.monotonic() - begin:.0f} s")


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except OSError as error:  # an output that takes no more ends a sweep as it ends a run
        raise SystemExit(128 + signal.SIGPIPE if isinstance(error, BrokenPipeError) else 1) from error


def _wait(process: subprocess.Popen[bytes], records: Path) -> int:
    """The status of the run's process, which ends sooner where the sweep is stopped on another machine."""
    told = False
    while True:
        try:
            return process.wait(WATCH)
        except subprocess.TimeoutExpired:
            stopped = records / STOPPED
            if not told and stopped.exists() and stopped.read_text(encoding="utf-8") != _host():
                process.terminate()
                told = True


def stop(records: Path) -> None:
    """Start nothing more, end what runs, here and elsewhere, and wait for its checkpoints."""
    (records / STOPPED).write_text(_host(), encoding="utf-8")
    for found in _records(records).values():
        if _is_running(found):  # whatever watches it may be gone
            with suppress(ProcessLookupError):
                os.kill(found["process"], signal.SIGTERM)
    last = time.monotonic()  # at which one was seen to run
    while under_way := list(filter(_is_watched, _records(records).values())):
        now = time.monotonic()
        last = now if any(map(_is_running, under_way)) else last
        if now - last > (SOON if all(map(_is_here, under_way)) else PATIENCE):
            return  # whatever watched it is gone
        time.sleep(0.1)


def report(records: Path, planned: int) -> bool:
    """Say what became of ``planned`` runs; whether one is not finished.

    What a run's directory says counts, not how its process ended. A run whose launcher was killed with it, or
    is still at it, has no status.
    """
    found = _records(records)
    folder = records.parent
    failed = {name: run for name, run in found.items() if not RunDirectory(folder / name).finished()}
    missing = max(planned - len(found), 0)
    rest = f", {missing} not started" if missing else ""
    print(f"sweep {folder}: {len(found) - len(failed)} runs finished, {len(failed)} failed{rest}")
    for name, run in failed.items():
        print(f"  {_describe(run['status'])}, {folder / name}.log\n    {run['command']}")
    if failed or missing:
        print("the same command again leaves out what is finished and goes on with the rest")
    over = not missing or (records / STOPPED).exists()
    if over and all(run["status"] is not None for run in found.values()):
        shutil.rmtree(records, ignore_errors=True)
    return bool(failed or missing)


def _records(records: Path) -> dict[str, dict[str, Any]]:
    """What was written down, by the names of the runs."""
    return {
        path.name.removesuffix(RECORD): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(records.glob(f"*{RECORD}"))
    }


def _write(records: Path, name: str, record: dict[str, Any]) -> None:
    path = records / f"{name}{RECORD}"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record) + "\n", encoding="utf-8")
    partial.replace(path)


def _host() -> str:
    return os.uname().nodename


def _is_here(record: dict[str, Any]) -> bool:
    return bool(record["host"] == _host())


def _is_watched(record: dict[str, Any]) -> bool:
    """Whether its end is still to come, or to be written down by another process than this one."""
    mine = record["watcher"] == os.getpid() and _is_here(record)
    return record["status"] is None and (_is_running(record) or not mine)


def _is_running(record: dict[str, Any]) -> bool:
    """Whether its process is one of this machine's; a zombie, whose parent was killed, runs no more."""
    if not _is_here(record) or record["status"] is not None:
        return False
    try:
        found = Path(f"/proc/{record['process']}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return found.rpartition(") ")[2][:1] != "Z"


def _describe(status: int | None) -> str:
    """How the process of an unfinished run ended."""
    if status is None:
        return "no status yet"
    return f"status {status}" + " and no final evaluation" * (status == 0)
