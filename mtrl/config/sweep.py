"""Makes many runs from one command:  python scripts/train.py -m aggregator=mean,cagrad seed=range(10).

Whatever launches them, each run is a process of its own, so that one that is killed takes no other along, and
has a directory whose name follows from its options, so that the same command finds it again.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from mtrl import child_process
from mtrl.config.build import resolve
from mtrl.config.compose import compose_config, hydra_for_configs
from mtrl.config.literals import literal, option_of
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory

FOLDER = Path("runs") / "sweep"
NOT_NAMED = ("run_dir", "device", "threads", "launcher")  # do not change what a run finds out
OUTCOME = ".outcome.json"


def check(overrides: Sequence[str]) -> None:
    """Raise :class:`~mtrl.errors.UsageError` for what one of the runs would refuse."""
    texts = choices_of(overrides)
    for choices, text in zip(texts, overrides, strict=True):
        require(len(choices) > 0, f"{text} matches no choice; --help lists them")
    require(
        all(option_of(choices[0]) != "resume" for choices in texts),
        "resume takes one run: to go on with a sweep, give the same command again",
    )
    for choices in texts:
        several = option_of(choices[0]) == "run_dir" and len(choices) > 1
        require(not several, "run_dir must be one folder, in which a sweep gives each run its own")
    first = [choices[0] for choices in texts]
    for place, choices in enumerate(texts):
        for choice in choices if len(choices) > 1 else choices[: place == 0]:
            chosen = [*first[:place], choice, *first[place + 1 :]]
            resolve(compose_config(chosen), chosen)


def choices_of(overrides: Sequence[str]) -> list[list[str]]:
    """What each override stands for: itself, or one for each value of a list, ``range`` or ``glob``."""
    with hydra_for_configs():
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())  # which glob asks
        try:
            parsed = parser.parse_overrides(list(overrides))
            return [
                [f"{item.key_or_group}={value}" for value in item.sweep_string_iterator()]
                if item.is_sweep_override()
                else [text]
                for item, text in zip(parsed, overrides, strict=True)
            ]
        except OverrideParseException as error:
            raise UsageError(f"cannot read {error.override!r}: write OPTION=VALUE,VALUE") from error


def count(overrides: Sequence[str]) -> int:
    """How many runs of different names they stand for."""
    texts = choices_of(overrides)
    return math.prod(len(set(choices)) for choices in texts if option_of(choices[0]) not in NOT_NAMED)


def folder_of(overrides: Sequence[str]) -> Path:
    """Where a sweep's runs lie."""
    parser = OverridesParser.create()
    given = [parser.parse_override(text).value() for text in overrides if option_of(text) == "run_dir"]
    return FOLDER if not given or given[-1] is None else Path(str(given[-1]))


def run_name(overrides: Sequence[str], choices: Sequence[str], seed: int) -> str:
    """The name of a run's directory: what was chosen, the seed, and a digest of all its options."""
    named = sorted(text for text in overrides if option_of(text) not in NOT_NAMED)
    digest = hashlib.sha256("\n".join(named).encode()).hexdigest()[:8]
    return f"{'_'.join(choices)}-seed{seed}-{digest}"


def run_one(overrides: Sequence[str], choices: Sequence[str], seed: int) -> None:
    """Start, resume or skip a run, and write down what became of it.

    Args:
        overrides: the run's, as on the command line.
        choices: of the groups that name it.
        seed: its seed.
    """
    folder, name = folder_of(overrides), run_name(overrides, choices, seed)
    files = RunDirectory(folder / name)
    outcome = folder / f"{name}{OUTCOME}"
    mine = [text for text in overrides if option_of(text) not in ("run_dir", "launcher")]
    place = f"run_dir={literal(str(files.path))}"
    command = child_process.command("mtrl.cli.train", *mine, place, "resume=auto")
    if files.finished():
        _write(outcome, 0, 0.0, command)
        print(f"{name}: finished before", flush=True)
        return
    log = folder / f"{name}.log"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{name}: {'goes on' if files.config.exists() else 'starts'}, output in {log}", flush=True)
    begin = time.monotonic()
    _write(outcome, None, 0.0, command)  # stays so if this process is killed too
    with log.open("a", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=child_process.environment()
        )
        try:
            status = process.wait()
        except KeyboardInterrupt:  # which has reached the run too: let it write its checkpoint
            _write(outcome, process.wait(), time.monotonic() - begin, command)
            raise
    seconds = time.monotonic() - begin
    _write(outcome, status, seconds, command)
    ending = "finished" if files.finished() else f"ended with {_describe(status)}"
    print(f"{name}: {ending}, {seconds:.0f} s", flush=True)


def report(folder: Path, since: float, planned: int) -> bool:
    """Say what became of ``planned`` runs of which some were looked at ``since`` a time; whether one failed.

    What a run's directory says counts, not how its process ended. A run whose launcher was killed with it, or
    is still at it, has no status.
    """
    outcomes = {
        path: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob(f"*{OUTCOME}"))
        if path.stat().st_mtime >= since
    }
    runs = {path: RunDirectory(path.with_name(path.name.removesuffix(OUTCOME))) for path in outcomes}
    failed = {path: found for path, found in outcomes.items() if not runs[path].finished()}
    missing = max(planned - len(outcomes), 0)
    rest = f", {missing} not started" if missing else ""
    print(f"sweep {folder}: {len(outcomes) - len(failed)} runs finished, {len(failed)} failed{rest}")
    for path, found in failed.items():
        log = f"{runs[path].path}.log"
        print(f"  {_describe(found['status'])}, {log}\n    {shlex.join(found['command'])}")
    if failed or missing:
        print("the same command again leaves out what is finished and goes on with the rest")
    return bool(failed or missing)


def _describe(status: int | None) -> str:
    """How the process of an unfinished run ended."""
    if status is None:
        return "no status yet"
    return f"status {status}" + " and no final evaluation" * (status == 0)


def _write(path: Path, status: int | None, seconds: float, command: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"status": status, "seconds": seconds, "command": command}) + "\n", encoding="utf-8"
    )
