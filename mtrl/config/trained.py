"""Rebuilds the suite and the agent of a run from its configuration and its last checkpoint."""

from __future__ import annotations

from typing import NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf

from mtrl.aggregators import Mean
from mtrl.config.allowed_classes import SIDES
from mtrl.config.build import build_agent, build_suite, generators, load_config
from mtrl.config.instantiate import PYTHON
from mtrl.config.learning_options import BOTH, flatten
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
    """The agent of a run's last checkpoint, to act.

    Acting needs no aggregator, so the mean stands in for one that only Python can name.
    """
    config = load_config(run)
    device = choose_device(device_name)
    suite = build_suite(config)
    stand_ins = {leaf: Mean for leaf in (BOTH, *SIDES) if leaf in config and _is_nameless(config[leaf])}
    agent = build_agent(config, suite.spec, device, generators(config.seed, device)[0], stand_ins)
    state = run.load_last(device)
    with state_errors(f"the checkpoint of step {state['step']} in {run.path}"):
        if stand_ins:
            for part in ("actor", "critic"):
                state["agent"][part]["aggregator"] = agent.state_dict()[part]["aggregator"]
        agent.load_state_dict(state["agent"])
    return Trained(suite, agent, device, config.seed, state["step"])


def _is_nameless(aggregator: DictConfig) -> bool:
    """Whether Python gave the aggregator, or one within it, and no configuration can name it."""
    return any(name.endswith(PYTHON) for name in flatten(OmegaConf.to_container(aggregator)))
