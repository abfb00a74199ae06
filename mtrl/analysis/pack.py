"""Packs the policy of a run into a small folder to hand on, with how it was made and what it does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from mtrl.agents.averaging import acting_network
from mtrl.agents.load import load
from mtrl.analysis.clock import Clock
from mtrl.analysis.commands import PLACES, training_commands
from mtrl.analysis.log_entries import Entry, read_clock
from mtrl.analysis.measure import OTHER_HORIZON, evaluate_last
from mtrl.analysis.runs import Run, find_runs
from mtrl.config.trained import ACTOR_ALONE
from mtrl.errors import require
from mtrl.policies import FACTS
from mtrl.runs import checkpoint
from mtrl.runs.directory import RunDirectory


def pack_policy(
    run_dir: Path,
    out: Path,
    *,
    half: bool = False,
    horizons: Sequence[int] = (),
    licence: str = "MIT",
    note: str | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Write what acting and judging need of the run's last checkpoint, measured anew, or nothing.

    The folder is a run directory: :func:`mtrl.load` and the programs that read runs take it. Of the weights
    it has the actor's, of the log the evaluations and the time.

    Args:
        run_dir: of the run.
        out: folder to make.
        half: keep the weights in float16, which takes half the space.
        horizons: lengths of episodes to evaluate it with, besides the run's own.
        licence: of the weights.
        note: more on how it was made, such as what else the machine did.
        say: told what is done.

    Returns:
        The facts that the folder's policy.json has.

    Raises:
        UsageError: for a run whose policy :func:`mtrl.load` does not rebuild, and a folder that is there.
    """
    require(not out.exists(), f"out: {out} exists already; remove it or choose another name")
    require(out.parent.is_dir(), f"out must lie in an existing folder, there is no {out.parent}")
    runs = find_runs([run_dir])
    require(len(runs) == 1, f"run must be the directory of one run, found {len(runs)} below {run_dir}")
    (run,) = runs
    policy = load(run.path)
    partial = RunDirectory(out.with_name(f"{out.name}.partial"))
    try:
        state = run.files.load_last(torch.device("cpu"), say)
        weights = _write_small(run, state, partial, half)
        (small,) = find_runs([partial.path])
        entries = {}
        for horizon in (None, *horizons):
            say(f"evaluating every goal{'' if horizon is None else f' in episodes of {horizon} steps'}")
            entry = evaluate_last(small, None, "cpu", None, say, horizon)
            require(
                "simulator" not in entry,
                f"pack where {entry.get('simulator')} is not installed: the figures must be the benchmark's",
            )
            entries[entry["horizon"]] = entry
            if horizon is not None:
                _write(partial.path / OTHER_HORIZON.format(horizon), entry)
        own = next(iter(entries.values()))
        counts = {"total_steps": state["step"] * len(policy.task_names), "updates": state["updates"]}
        partial.append(partial.evaluations, {**counts, **own, "final": True})
        facts = {
            "name": out.name,
            "licence": licence,
            "weights": str(weights.relative_to(partial.path)),
            "sha256": sha256(weights.read_bytes()).hexdigest(),
            "dtype": "float16" if half else "float32",
            "parameters": sum(parameter.numel() for parameter in policy.actor.parameters()),
            "evaluations": [_outcome(entry) for entry in entries.values()],
            "before_packing": None if run.final is None else _outcome(run.final),
            **_how_it_was_made(run, policy.step, counts),
            **({} if note is None else {"note": note}),
        }
        _write(partial.path / FACTS, facts)
        partial.path.replace(out)
    finally:
        shutil.rmtree(partial.path, ignore_errors=True)
    return facts


def _write_small(run: Run, state: dict[str, Any], files: RunDirectory, half: bool) -> Path:
    """The run directory but for the final evaluation; the file with the weights."""
    network = {name: _small(value, half) for name, value in acting_network(state["agent"]).items()}
    files.checkpoints.mkdir(parents=True)
    config = run.config | dict.fromkeys(PLACES)
    files.write(files.config, OmegaConf.to_yaml(OmegaConf.create(config)))
    files.write_manifest(run.manifest)
    for entry in run.evaluations:
        if entry["step"] <= state["step"] and not entry.get("final"):
            files.append(files.evaluations, entry)
    for step, total, rate in read_clock(run.files.metrics):
        files.append(files.metrics, {"step": step, "total_steps": total, "time/steps_per_second": rate})
    weights = files.checkpoints / f"step_{state['step']:010d}.pt"
    logs = {path.name: 0 for path in (files.metrics, files.evaluations)}
    agent = {"actor": {"network": network}}
    checkpoint.save(weights, {"step": state["step"], "positions": logs, "agent": agent, ACTOR_ALONE: True})
    return weights


def _small(value: Tensor, half: bool) -> Tensor:
    return value.detach().to(torch.float16 if half and value.is_floating_point() else value.dtype).clone()


def _outcome(entry: Entry) -> Entry:
    names = ("horizon", "episodes_per_task", "mean_success", "success")
    return {name: entry[name] for name in names if name in entry}


def _how_it_was_made(run: Run, step: int, counts: dict[str, Any]) -> dict[str, Any]:
    manifest = run.manifest
    return {
        "command": training_commands(run.config | dict.fromkeys(PLACES), [run.seed]),
        "seed": run.seed,
        "steps_per_task": step,
        **counts,
        "seconds_of_training": round(Clock(run).at(step), 1),
        **{name: manifest.get(name) for name in ("device", "torch_threads", "created", "git_revision")},
        "versions": manifest.get("versions", {}) | manifest.get("suite", {}).get("versions", {}),
        "reward": manifest.get("suite", {}).get("reward"),
    }


def _write(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
