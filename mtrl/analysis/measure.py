"""Evaluates the last checkpoints of runs that logged no final evaluation, or all anew with more episodes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from mtrl.analysis.log_entries import Entry
from mtrl.analysis.runs import Run
from mtrl.config.trained import load_trained
from mtrl.errors import require
from mtrl.products import float32_products
from mtrl.training.evaluation import evaluate
from mtrl.training.threads import threads


def measure_runs(runs: Sequence[Run], episodes: int | None = None, device: str = "auto") -> dict[Run, Entry]:
    """Evaluate the runs that need it: the unfinished ones that have a checkpoint.

    Args:
        runs: to look at.
        episodes: per task; where given, all runs are evaluated anew, with so many.
        device: of the agents: auto, cpu, cuda or cuda:N.

    Returns:
        What was measured, by run, for :func:`mtrl.analysis.results.gather`.
    """
    measured = {}
    for run in runs:
        if episodes is not None:
            run.files.require_run()
        if episodes is not None or (run.final is None and run.files.saved()):
            measured[run] = measure(run, episodes, device)
    return measured


def measure(run: Run, episodes: int | None, device_name: str) -> Entry:
    """Evaluate the last checkpoint; the outcome is also kept in the run's evaluation.json."""
    episodes = run.config.get("final_episodes") if episodes is None else episodes
    valid = isinstance(episodes, int) and not isinstance(episodes, bool)
    require(
        valid, f"{run.files.config}: final_episodes must be an integer, found {episodes!r}; give --episodes"
    )
    assert episodes is not None
    trained = load_trained(run.files, device_name)
    # Actions are small products, and the workers need the cores.
    with (
        threads(1),
        float32_products(trained.device, run.manifest.get("products")),
        closing(trained.suite.evaluation_env()) as env,
    ):
        evaluation = evaluate(trained.agent, env, trained.suite.spec, episodes, trained.device)
    found: dict[str, Any] = {"step": trained.step, **evaluation.as_record(), **getattr(env, "facts", {})}
    facts = {"run": str(run.path), "seed": trained.seed, "finished": run.final is not None}
    run.files.write(run.path / "evaluation.json", json.dumps(facts | found, indent=2) + "\n")
    return found
