"""Success of the final checkpoint of each run:  python scripts/evaluate.py RUN_DIR [RUN_DIR ...]."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from mtrl.devices import choose_device
from mtrl.errors import require
from mtrl.evaluation import Evaluation, evaluate
from mtrl.run_directory import RunDirectory
from mtrl.statistics import bootstrap_interquartile_mean
from mtrl.types import Agent, Suite
from scripts.assembly import build_agent, build_suite, generators, load_config
from scripts.command_line import run_program

BOOTSTRAP_SEED = 0  # of the resampling, so that the same runs always print the same interval


def main() -> None:
    """Entry point of ``mtrl-evaluate``."""
    parser = argparse.ArgumentParser(description="Evaluate the final checkpoint of each run.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN_DIR", help="one run or several")
    parser.add_argument("--episodes", type=int, default=50, help="per task; every goal at most once (50)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--json", type=Path, help="output (evaluation.json beside the runs' own files)")
    arguments = parser.parse_args()
    sys.path.append(str(Path.cwd()))  # as in train.py
    run_program(lambda: _evaluate_runs(arguments))


def _evaluate_runs(arguments: argparse.Namespace) -> None:
    runs = [RunDirectory(path) for path in arguments.runs]
    for run in runs:
        run.require_run()
    console = Console()
    evaluations: list[Evaluation] = []
    records: list[dict[str, Any]] = []
    for run in runs:
        evaluation, record = _evaluate_run(run, arguments.episodes, arguments.device)
        names = evaluations[0].task_names if evaluations else evaluation.task_names
        require(evaluation.task_names == names, f"{run.path} has other tasks than {runs[0].path}")
        if not record["finished"]:
            console.print(f"note: {run.path} is unfinished; its checkpoint is of step {record['step']}")
        evaluations.append(evaluation)
        records.append(record)
    scores = np.stack([evaluation.success_rates for evaluation in evaluations])  # [runs, K]
    interval = bootstrap_interquartile_mean(scores, np.random.default_rng(BOOTSTRAP_SEED))
    summary = {
        "mean_success": float(scores.mean()),
        "iqm": interval.estimate,
        "iqm_95_low": interval.low,
        "iqm_95_high": interval.high,
    }
    _print(console, evaluations, records, summary)
    single = runs[0].path / "evaluation.json"
    target = arguments.json or (single if len(runs) == 1 else runs[0].path.parent / "evaluation.json")
    target.write_text(json.dumps({"summary": summary, "runs": records}, indent=2) + "\n")
    console.print(f"written to {target}", soft_wrap=True)


class Trained(NamedTuple):
    """What the last checkpoint of a run holds, ready to act."""

    suite: Suite
    agent: Agent
    device: torch.device
    seed: int
    step: int


def load_policy(run: RunDirectory, device_name: str) -> Trained:
    """The agent of a run's last checkpoint."""
    config = load_config(run)
    device = choose_device(device_name)
    suite = build_suite(config)
    agent = build_agent(config, suite.spec, device, generators(config.seed, device)[0])
    state = run.load_last(device)
    agent.load_state_dict(state["agent"])
    return Trained(suite, agent, device, config.seed, state["step"])


def _evaluate_run(run: RunDirectory, episodes: int, device_name: str) -> tuple[Evaluation, dict[str, Any]]:
    trained = load_policy(run, device_name)
    with closing(trained.suite.evaluation_env()) as env:
        evaluation = evaluate(trained.agent, env, trained.suite.spec, episodes, trained.device)
    facts = {"run": str(run.path), "seed": trained.seed, "step": trained.step, "finished": run.finished()}
    return evaluation, facts | evaluation.as_record()


def _print(
    console: Console, evaluations: list[Evaluation], records: list[dict[str, Any]], summary: dict[str, Any]
) -> None:
    episodes = evaluations[0].success.shape[1]
    table = Table(title=f"success, final checkpoint, {episodes} episodes per task, each goal once")
    table.add_column("task")
    for record in records:
        table.add_column(f"seed {record['seed']}", justify="right")
    table.add_column("mean", justify="right")
    rates = np.stack([evaluation.success_rates for evaluation in evaluations], axis=1)  # [K, runs]
    for name, row in zip(evaluations[0].task_names, rates, strict=True):
        table.add_row(name, *(f"{rate:.2f}" for rate in row), f"{row.mean():.2f}")
    table.add_section()
    table.add_row("mean", *(f"{rate:.3f}" for rate in rates.mean(axis=0)), f"{rates.mean():.3f}")
    console.print(table)
    interval = "no interval from a single run"
    if summary["iqm_95_low"] is not None:
        interval = f"95 % bootstrap interval {summary['iqm_95_low']:.3f} to {summary['iqm_95_high']:.3f}"
    iqm = f"interquartile mean over {len(records)} run(s) x tasks: {summary['iqm']:.3f} ({interval})"
    console.print(iqm, soft_wrap=True)


if __name__ == "__main__":
    main()
