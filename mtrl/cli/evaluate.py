"""Prints the success of runs, by task, seed and method:  python scripts/evaluate.py RUNS [RUNS ...]."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console

from mtrl.analysis.formats import comma_separated, latex, markdown, terminal
from mtrl.analysis.log_entries import Entry
from mtrl.analysis.results import Evidence, gather
from mtrl.analysis.runs import Run, find_runs
from mtrl.analysis.summary import Comparison, compare_methods
from mtrl.analysis.tables import as_record, long_table, seed_tables, summary_table, task_table
from mtrl.cli.program import find_modules_here, run_program
from mtrl.config.build import build_agent, build_suite, generators, load_config
from mtrl.devices import choose_device
from mtrl.errors import require
from mtrl.runs.checkpoint import state_errors
from mtrl.runs.directory import RunDirectory
from mtrl.training.evaluation import evaluate
from mtrl.types import Agent, Suite

FORMATS = ("text", "markdown", "json", "csv", "latex")


def main() -> None:
    """Entry point of ``mtrl-evaluate``."""
    parser = argparse.ArgumentParser(
        description="Success of runs, by task, seed and method. Runs that differ only in their seed are one "
        "method. The final evaluation that each run logged counts; of an unfinished run the last checkpoint "
        "is evaluated.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUNS", help="run directories or folders above")
    parser.add_argument("--baseline", metavar="METHOD", help="to be improved on (mean, where that is there)")
    parser.add_argument(
        "--episodes",
        type=int,
        help="evaluate the last checkpoints anew with so many episodes per task, every goal at most once",
    )
    parser.add_argument("--device", default="auto", help="of the agents: auto, cpu, cuda or cuda:N (auto)")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of what is written (text)")
    parser.add_argument("--out", type=Path, help="file to write to (the terminal)")
    arguments = parser.parse_args()
    run_program(partial(_evaluate_runs, arguments))


def _evaluate_runs(arguments: argparse.Namespace) -> None:
    out: Path | None = arguments.out
    valid = out is None or (out.parent.is_dir() and not out.is_dir())
    require(valid, f"--out must be a file in an existing folder, found {out}")
    runs = find_runs(arguments.runs)
    find_modules_here(*(run.path for run in runs))
    measured = {}
    for run in runs:
        if arguments.episodes is not None:
            run.files.require_run()
        if arguments.episodes is not None or (run.final is None and run.files.saved()):
            measured[run] = _measure(run, arguments.episodes, arguments.device)
    evidence = gather(runs, measured)
    comparison = compare_methods(evidence, arguments.baseline)
    notes = Console(stderr=True)
    for note in evidence.notes:
        notes.print(f"note: {note}", soft_wrap=True, highlight=False, markup=False)
    if arguments.format == "text" and out is None:
        for table in (summary_table(evidence, comparison), *seed_tables(evidence)):
            Console().print(terminal(table))
        return
    text = _as_text(evidence, comparison, arguments.format)
    if out is None:
        print(text, end="")
    else:
        out.write_text(text)
        print(f"written to {out}")


def _as_text(evidence: Evidence, comparison: Comparison, kind: str) -> str:
    if kind == "json":
        return json.dumps(as_record(evidence, comparison), indent=2) + "\n"
    if kind == "csv":
        return comma_separated(long_table(evidence))
    tables = [summary_table(evidence, comparison), task_table(evidence), *seed_tables(evidence)]
    if kind == "latex":
        return latex(tables)
    return markdown(tables)


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
    with state_errors(f"the checkpoint of step {state['step']} in {run.path}"):
        agent.load_state_dict(state["agent"])
    return Trained(suite, agent, device, config.seed, state["step"])


def _measure(run: Run, episodes: int | None, device_name: str) -> Entry:
    """Evaluate the last checkpoint; the outcome is also kept in the run's evaluation.json."""
    episodes = run.config.get("final_episodes") if episodes is None else episodes
    valid = isinstance(episodes, int) and not isinstance(episodes, bool)
    require(
        valid, f"{run.files.config}: final_episodes must be an integer, found {episodes!r}; give --episodes"
    )
    assert episodes is not None
    trained = load_policy(run.files, device_name)
    with closing(trained.suite.evaluation_env()) as env:
        evaluation = evaluate(trained.agent, env, trained.suite.spec, episodes, trained.device)
    row: dict[str, Any] = {"step": trained.step, **evaluation.as_record()}
    facts = {"run": str(run.path), "seed": trained.seed, "finished": run.final is not None}
    run.files.write(run.path / "evaluation.json", json.dumps(facts | row, indent=2) + "\n")
    return row


if __name__ == "__main__":
    main()
