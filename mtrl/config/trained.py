"""Rebuilds the suite and the agent of a run from its configuration and its last checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from mtrl.agents.averaging import AVERAGED
from mtrl.aggregators import Mean
from mtrl.config.allowed_classes import CONTRACTS, SIDES
from mtrl.config.build import build_agent, build_suite, generators, load_config
from mtrl.config.instantiate import PYTHON, TARGET
from mtrl.config.learning_options import BOTH, flatten
from mtrl.devices import choose_device
from mtrl.errors import require
from mtrl.lookup import find_named
from mtrl.runs.checkpoint import state_errors
from mtrl.runs.directory import RunDirectory
from mtrl.types import Agent, Suite

ACTOR_ALONE = "actor_alone"  # marks a checkpoint that was made to act, and cannot be trained further


class Trained(NamedTuple):
    """What the last checkpoint of a run holds, ready to act."""

    suite: Suite
    agent: Agent
    device: torch.device
    seed: int
    step: int


def load_trained(
    run: RunDirectory,
    device_name: str,
    network: str | None = None,
    say: Callable[[str], None] = print,
    horizon: int | None = None,
) -> Trained:
    """The agent of a run's last checkpoint, to act.

    Acting needs no aggregator, so the mean stands in for one that only Python can name.

    Args:
        run: where it was written.
        device_name: auto, cpu, cuda or cuda:N.
        network: MODULE.CLASS of its networks, where its configuration cannot name it.
        say: told which checkpoints are passed over.
        horizon: steps after which the suite's episodes end; None for those of the run.

    Raises:
        UsageError: for a run that cannot be loaded, and a horizon that its suite does not take.
    """
    config = load_config(run)
    if horizon is not None:
        require(
            "horizon" in config.env,
            f"horizon must be left out: the suite of {run.path}, {config.env[TARGET]}, has no such option",
        )
        config.env.horizon = horizon
    device = choose_device(device_name)
    suite = build_suite(config)
    stand_ins = {leaf: Mean for leaf in (BOTH, *SIDES) if leaf in config and _is_nameless(config[leaf])}
    if network is None:
        given = OmegaConf.select(config, f"agent.network.{PYTHON}")
        name = OmegaConf.select(config, f"agent.network.{TARGET}")
        require(
            not given,
            f"agent.network in {run.config} is {name}, which was given from Python: put the class into a "
            "module beside where the command is typed, and name it by --network MODULE.CLASS",
        )
    objects = stand_ins | ({} if network is None else _networks(config, network))
    agent = build_agent(config, suite.spec, device, generators(config.seed, device)[0], objects)
    state = run.load_last(device, say)
    with state_errors(f"the checkpoint of step {state['step']} in {run.path}"):
        if state.get(ACTOR_ALONE):
            state["agent"] = _around(state["agent"], agent)
        if stand_ins:
            for part in ("actor", "critic"):
                state["agent"][part]["aggregator"] = agent.state_dict()[part]["aggregator"]
        agent.load_state_dict(state["agent"])
    return Trained(suite, agent, device, config.seed, state["step"])


def find_network(name: str) -> Callable[..., nn.Module]:
    """The class of a network that a user names as MODULE.CLASS.

    Raises:
        UsageError: for a name that leads to none.
    """
    contract = CONTRACTS["agent"].parts("network")
    found: Callable[..., nn.Module] = find_named(name, "network", contract)
    require(contract is not None and contract.holds(found), f"network must be {contract}, found {name!r}")
    return found


def _networks(config: DictConfig, name: str) -> dict[str, Any]:
    """The user's class with the run's options, in the places of the network that the actor has."""
    build, agent = find_network(name), OmegaConf.to_container(config.agent)
    assert isinstance(agent, dict)
    target = agent.get("network", {}).get(TARGET)
    objects = {}
    for part in ("network", "critic_network"):
        node = agent.get(part)
        if isinstance(node, dict) and node.get(TARGET) == target:
            options = {option: value for option, value in node.items() if not option.startswith("_")}
            objects[f"agent.{part}"] = partial(build, **options)
    return objects


def _around(actor: dict[str, Any], agent: Agent) -> dict[str, Any]:
    """The state of an agent that has learnt an actor's network and nothing else."""
    new, network = agent.state_dict(), actor["actor"]["network"]
    average = {AVERAGED: network} if AVERAGED in new else {}
    return new | {"actor": new["actor"] | {"network": network}} | average


def _is_nameless(aggregator: DictConfig) -> bool:
    """Whether Python gave the aggregator, or one within it, and no configuration can name it."""
    return any(name.endswith(PYTHON) for name in flatten(OmegaConf.to_container(aggregator)))
