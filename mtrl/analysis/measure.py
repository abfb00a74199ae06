"""Evaluates the last checkpoints of runs that logged no final evaluation, or all anew with more episodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from mtrl import policies
from mtrl.analysis.log_entries import Entry, read_measured
from mtrl.analysis.runs import Run
from mtrl.config.trained import load_trained
from mtrl.errors import StorageError, UsageError, require
from mtrl.products import float32_products
from mtrl.training.evaluation import evaluate
from mtrl.training.threads import threads

# By the steps of the episodes; those of the run's own are in evaluation.json.
OTHER_HORIZON = "evaluation_horizon_{}.json"


class Measured(NamedTuple):
    """What was measured, by run, the runs that count, and notes on those that could not be measured."""

    entries: dict[Run, Entry]
    runs: list[Run]
    notes: list[str]


def measure_runs(
    runs: Sequence[Run],
    episodes: int | None = None,
    device: str = "auto",
    network: str | None = None,
    say: Callable[[str], None] = print,
    horizon: int | None = None,
) -> Measured:
    """Evaluate the runs that need it: the unfinished ones that have a checkpoint.

    Args:
        runs: to look at.
        episodes: per task; where given, all runs are evaluated anew, with so many.
        device: of the agents: auto, cpu, cuda or cuda:N.
        network: MODULE.CLASS of the runs' networks, where their configurations cannot name it.
        say: told what is evaluated.
        horizon: steps after which episodes end; where given, all runs are evaluated anew, with it.

    Raises:
        UsageError: if runs were to be evaluated anew and none could be.
    """
    anew = episodes is not None or horizon is not None
    measured, failures, notes = {}, {}, []
    for run in runs:
        if not anew and (run.final is not None or not run.files.saved()):
            continue
        say(f"evaluating the last checkpoint of {run.path}")
        try:
            measured[run], note = measure(run, episodes, device, network, say, horizon)
            notes += note
        except UsageError as error:
            failures[run] = error
    lost = [run for run in failures if anew or not run.evaluations]
    if len(lost) == len(runs):
        raise failures[lost[0]]
    for run, failure in failures.items():
        counts = "is left out" if run in lost else "counts with its last logged evaluation"
        notes.append(f"{run.path} {counts}: {failure}")
    return Measured(measured, [run for run in runs if run not in lost], notes)


def measure(
    run: Run,
    episodes: int | None,
    device_name: str,
    network: str | None,
    say: Callable[[str], None],
    horizon: int | None = None,
) -> tuple[Entry, list[str]]:
    """Evaluate the last checkpoint and keep that in a file of the run, or note why it is not kept."""
    found = evaluate_last(run, episodes, device_name, network, say, horizon)
    trained, notes, name = run.config["env"].get("horizon"), [], "evaluation.json"
    if horizon not in (None, trained):
        notes.append(f"{run.path}: episodes of {horizon} steps; it was trained with those of {trained}")
        name = OTHER_HORIZON.format(horizon)
    if run.path.resolve().parent == policies.FOLDER:  # which is for reading
        return found, notes
    facts = {"run": str(run.path), "seed": run.seed, "finished": run.final is not None}
    try:
        run.files.write(run.path / name, json.dumps(facts | found, indent=2) + "\n")
    except StorageError as error:  # a folder that may only be read
        notes.append(f"the evaluation of {run.path} is shown here only: {error.__cause__}")
    return found, notes


def at_other_horizons(run: Run) -> dict[int, Entry]:
    """What was measured of a run with episodes of other lengths than its own, by their steps."""
    entries = [read_measured(path) for path in run.path.glob(OTHER_HORIZON.format("*"))]
    found = {entry["horizon"]: entry for entry in entries if entry is not None}
    return {steps: found[steps] for steps in sorted(found)}


def evaluate_last(
    run: Run,
    episodes: int | None,
    device_name: str,
    network: str | None,
    say: Callable[[str], None],
    horizon: int | None = None,
) -> Entry:
    """The success of the last checkpoint, and the length of the episodes; see :func:`measure_runs`."""
    run.files.require_run()
    episodes = run.config.get("final_episodes") if episodes is None else episodes
    valid = isinstance(episodes, int) and not isinstance(episodes, bool)
    require(
        valid, f"{run.files.config}: final_episodes must be an integer, found {episodes!r}; give --episodes"
    )
    assert episodes is not None
    trained = load_trained(run.files, device_name, network, say, horizon)
    # Actions are small products, and the workers need the cores.
    with (
        threads(1),
        float32_products(trained.device, run.manifest.get("products")),
        closing(trained.suite.evaluation_env()) as env,
    ):
        evaluation = evaluate(trained.agent, env, trained.suite.spec, episodes, trained.device, say)
    facts: dict[str, Any] = {"step": trained.step, "horizon": trained.suite.spec.horizon}
    return {**facts, **evaluation.as_record(), **getattr(env, "facts", {})}
