"""Counts the parameters of every agent on Meta-World's suites, for a table."""

from __future__ import annotations

import torch
from metaworld.env_dict import MT10_V3, MT50_V3

from mtrl.agents.sac import SAC
from mtrl.config.build import build_agent
from mtrl.config.compose import compose_config
from mtrl.config.registry import agent_names
from mtrl.gradients.flat_module import FlatModule
from mtrl.types import SuiteSpec

SUITES = {"MT10": tuple(MT10_V3), "MT50": tuple(MT50_V3)}
HEADER = ("agent", *(f"{part}, {suite}" for suite in SUITES for part in ("actor", "critics")))


def parameter_cells(name: str) -> list[str]:
    """The trained parameters of actor and critics on each suite: shared + tasks x own."""
    cells = []
    for tasks in SUITES.values():
        spec = SuiteSpec(tasks, obs_size=39, action_size=4, horizon=500, num_goals=50)
        config = compose_config([f"agent={name}", "aggregator=mean"])
        agent = build_agent(config, spec, torch.device("meta"), None)  # sizes without memory
        assert isinstance(agent, SAC)
        cells += [_count(learner.network, len(tasks)) for learner in (agent.actor, agent.critic)]
    return cells


def markdown_table() -> str:
    """The table as text."""
    lines = [f"| {' | '.join(HEADER)} |", f"|---|{'---:|' * (len(HEADER) - 1)}"]
    lines += [f"| `{name}` | {' | '.join(parameter_cells(name))} |" for name in agent_names()]
    return "\n".join(lines)


def _count(network: FlatModule, num_tasks: int) -> str:
    shared, own = network.shared.numel(), network.own.shape[1]
    parts = [f"{shared:,}"] if shared or not own else []
    return " + ".join(parts + ([f"{num_tasks} x {own:,}"] if own else []))
