"""Rebuilds the suite and the agent of a run from its configuration and its last checkpoint."""

from __future__ import annotations

from typing import NamedTuple

import torch

from mtrl.config.build import build_agent, build_suite, generators, load_config
from mtrl.devices import choose_device
from mtrl.runs.checkpoint import state_errors
from mtrl.runs.directory import RunDirectory
from mtrl.types import Agent, Suite


class Trained(NamedTuple):
    """What the last checkpoint of a run holds, ready to act."""

    suite: Suite
    agent: Agent
    device: torch.device
    seed: int
    step: int


def load_trained(run: RunDirectory, device_name: str) -> Trained:
    """The agent of a run's last checkpoint."""
    config = load_config(run)
    device = choose_device(device_name)
    suite = build_suite(config)
    agent = build_agent(config, suite.spec, device, generators(config.seed, device)[0])
    state = run.load_last(device)
    with state_errors(f"the checkpoint of step {state['step']} in {run.path}"):
        agent.load_state_dict(state["agent"])
    return Trained(suite, agent, device, config.seed, state["step"])
