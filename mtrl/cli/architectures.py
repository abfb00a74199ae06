"""Prints a table of the agents and how many parameters they have:  python scripts/architectures.py."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from importlib.resources import files

import torch
from metaworld.env_dict import MT10_V3, MT50_V3
from rich.console import Console
from rich.table import Table

from mtrl.agents.sac import SAC
from mtrl.cli.program import run_program
from mtrl.config.build import build_agent
from mtrl.config.compose import compose_config
from mtrl.gradients.flat_module import FlatModule
from mtrl.types import SuiteSpec

FOLDER = files("mtrl.configs").joinpath("agent")
SUITES = {"MT10": tuple(MT10_V3), "MT50": tuple(MT50_V3)}
HEADER = ("agent", *(f"{part}, {suite}" for suite in SUITES for part in ("actor", "critics")))


def main() -> None:
    """Entry point of ``mtrl-architectures``."""
    parser = argparse.ArgumentParser(description="A table of every agent of configs/agent.")
    parser.add_argument("--markdown", action="store_true", help="as in docs/agents.md")
    arguments = parser.parse_args()
    run_program(partial(_print, arguments.markdown))


def agent_names() -> list[str]:
    """Every configuration, in alphabetical order."""
    return sorted(path.name.removesuffix(".yaml") for path in FOLDER.iterdir() if path.name.endswith(".yaml"))


def agent_summary(name: str) -> str:
    """The first line of the configuration: what the agent is, and whose."""
    return FOLDER.joinpath(f"{name}.yaml").read_text().splitlines()[0].removeprefix("# ")


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


def markdown() -> str:
    """The table as text."""
    lines = [f"| {' | '.join(HEADER)} |", f"|---|{'---:|' * (len(HEADER) - 1)}"]
    lines += [f"| `{name}` | {' | '.join(parameter_cells(name))} |" for name in agent_names()]
    return "\n".join(lines)


def _count(network: FlatModule, num_tasks: int) -> str:
    shared, own = network.shared.numel(), network.own.shape[1]
    parts = [f"{shared:,}"] if shared or not own else []
    return " + ".join(parts + ([f"{num_tasks} x {own:,}"] if own else []))


def _print(as_markdown: bool) -> None:
    if as_markdown:
        print(markdown())
        return
    table = Table(title="agents, chosen by agent=NAME; parameters: shared + tasks x own", show_lines=True)
    table.add_column(HEADER[0], no_wrap=True)
    for column in HEADER[1:]:
        table.add_column(column, justify="right")
    table.add_column("what it is")
    for name in agent_names():
        table.add_row(name, *parameter_cells(name), agent_summary(name))
    # A pipe has no width of its own: 80 columns would fold every cell.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


if __name__ == "__main__":
    main()
