"""What the tests of the programs share: a tiny run, and a way to read its metrics."""

import json
import sys

import pytest
import torch

from mtrl.cli import train
from mtrl.runs import checkpoint
from mtrl.runs.directory import RunDirectory

TINY = [
    "experiment=toy",
    "agent.network.hidden=[8]",
    "steps_per_task=60",
    "warmup_steps=10",
    "batch_size=4",
    "log_interval=20",
    "evaluation_interval=30",
    "evaluation_episodes=2",
    "final_episodes=2",
    "conflict_interval=1",
    "exploration_rate=0.1",
    "agent.actor_polyak=0.1",
]

DRAWABLE = [
    "env=custom",
    "env.tasks=[reach-v3,drawer-close-v3]",
    "env.horizon=10",
    "env.workers=0",
    "agent.network.hidden=[8]",
    "steps_per_task=12",
    "warmup_steps=10",
    "batch_size=4",
    "final_episodes=1",
]


def train_once(*options):
    """A run for the tests of a module or a session, which read it or change copies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train", *options])
        patch.setattr(sys, "path", list(sys.path))
        train.main()


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_times(path):
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows(path)]


def equal(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def transitions(run, state, capacity):
    parts = [
        checkpoint.load(run / "replay" / part["name"], torch.device("cpu"), part["digest"])
        for part in state.pop("replay")["parts"]
    ]
    return torch.cat([part["rows"] for part in parts], dim=1)[:, -capacity:]


def assert_same_run(first, second, capacity=4000):
    """All but the times, down to the last bit."""
    for file in ("metrics.jsonl", "evaluations.jsonl"):
        assert without_times(first / file) == without_times(second / file)
    states = [RunDirectory(run).load_last(torch.device("cpu")) for run in (first, second)]
    for run, state in zip((first, second), states, strict=True):
        state["transitions"] = transitions(run, state, capacity)
        del state["positions"]  # the times in metrics.jsonl have more digits or fewer
    assert states[0].keys() == states[1].keys()
    different = [name for name in states[0] if not equal(states[0][name], states[1][name])]
    assert different == [], different
