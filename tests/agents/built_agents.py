"""Every agent, built small from the configuration folder: a new file there is under test at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from mtrl.agents.sac import SAC
from mtrl.config.build import build_agent
from mtrl.config.registry import method_names
from mtrl.types import SuiteSpec
from tests.composed import composed

FOLDER = Path(__file__).parents[2] / "configs" / "agent"
AGENTS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SMALL = {"hidden": [16, 16], "width": 16, "routing": [16, 16]}


def agent_config(agent: str, method: str = "mean", **options: Any) -> DictConfig:
    """The configuration of an agent with narrow layers."""
    config = composed(f"agent={agent}", f"aggregator={method}")
    for node in (config.agent.network, config.agent.critic_network):
        if node is not None:
            node.update({name: value for name, value in SMALL.items() if name in node})
    config.agent = OmegaConf.merge(config.agent, options)
    if method == "torchjd" and method not in method_names():
        pytest.skip("needs torchjd[quadprog_projector]")
    if "size" in config.aggregator:
        config.aggregator.size = 2
    return config


def build(
    agent: str, spec: SuiteSpec, method: str = "mean", device: str = "cpu", seed: int = 0, **options: Any
) -> SAC:
    generator: Any = None if device == "meta" else torch.Generator(device).manual_seed(seed)
    built = build_agent(agent_config(agent, method, **options), spec, torch.device(device), generator)
    assert isinstance(built, SAC)
    return built


def parameters(agent: SAC) -> dict[str, torch.Tensor]:
    networks = {"actor": agent.actor.network, "critic": agent.critic.network, "target": agent.target_critic}
    return {f"{name}.{key}": value for name, net in networks.items() for key, value in net.named_parameters()}
