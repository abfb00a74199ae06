"""Every agent learns, through the command that a user types."""

import numpy as np
import pytest

from mtrl.cli import train
from tests.agents.built_agents import AGENTS
from tests.tiny_run import rows

TOLD_THE_TASK = [agent for agent in AGENTS if agent != "sac_unconditioned"]

# Where the toy preset's narrow layers are not all there is to an agent's size.
SMALLER = {
    "soft_modular": ["agent.network.width=32", "agent.network.routing=[64,64]"],
    "moore": ["agent.network.experts=2"],
    "brc": ["agent.critic_network.hidden=[64,64]", "agent.reward_scale=0.5", "steps_per_task=3000"],
}
# ... and where parts that act together learn too fast at the preset's rate.
FITTED_TO_TWO_TASKS = {
    "paco": ["agent.learning_rate=4e-4"],
    "soft_modular": [
        "agent.network.width=64",
        "agent.network.routing=[64,64]",
        "agent.learning_rate=4e-4",
    ],
    "moore": ["agent.network.experts=2"],
    "brc": ["agent.critic_network.hidden=[128,128]", "agent.reward_scale=0.5"],
}


def final_success(run, tmp_path, *options):
    assert run(train, *options, "run_dir=out") == 0
    final = rows(tmp_path / "out" / "evaluations.jsonl")[-1]
    assert final["final"]
    return final["mean_success"]


QUICK = [("sac", "cagrad")]
LONG = [(agent, "mean") for agent in TOLD_THE_TASK]


@pytest.mark.parametrize(
    ("agent", "aggregator"), [*QUICK, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in LONG)]
)
def test_the_toy_suite_is_solved(run, tmp_path, agent, aggregator):
    steps = 1500 if (agent, aggregator) in QUICK else 2000  # it is solved from 1,200 on
    options = [
        f"agent={agent}",
        f"aggregator={aggregator}",
        f"steps_per_task={steps}",
        f"evaluation_interval={steps}",
    ]
    smaller = SMALLER.get(agent, [])
    assert final_success(run, tmp_path, "experiment=toy", *options, *smaller) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "low", "high"), [(1, 0.95, 1.0), (4, 0.0, 0.5)])
def test_an_agent_that_is_not_told_the_task_solves_one_but_not_four(run, tmp_path, tasks, low, high):
    options = ["agent=sac_unconditioned", "aggregator=mean", f"env.tasks={tasks}"]
    lengths = ["steps_per_task=2000", "evaluation_interval=2000"]
    assert low <= final_success(run, tmp_path, "experiment=toy", *options, *lengths) <= high


def learning_curves(run, tmp_path, name, *options):
    """The mean success at each evaluation of three seeds, [seeds, evaluations]."""
    lengths = ["experiment=toy", "steps_per_task=1500", "evaluation_interval=250"]
    found = []
    for seed in range(3):
        assert run(train, *lengths, *options, f"seed={seed}", f"run_dir={name}{seed}") == 0
        evaluations = rows(tmp_path / f"{name}{seed}" / "evaluations.jsonl")
        found.append([row["mean_success"] for row in evaluations])
    return np.array(found)


@pytest.mark.slow
def test_how_updates_are_computed_leaves_the_learning_curve_within_the_spread_of_seeds(run, tmp_path):
    eager = learning_curves(run, tmp_path, "eager")
    spread = np.ptp(eager, axis=0).max()  # where seeds differ most
    assert spread < 0.5 and eager[:, -1].min() > 0.9
    ways = {"compiled": ["compile=true"], "rounded": ["compile=true", "precision=bf16", "task_chunk=3"]}
    for name, options in ways.items():
        found = learning_curves(run, tmp_path, name, *options)
        difference = abs(found.mean(0) - eager.mean(0)).max()
        assert difference <= spread, (name, found, eager)


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_two_meta_world_tasks_are_learnt_at_least_half(run, tmp_path, agent):
    options = [f"agent={agent}", *FITTED_TO_TWO_TASKS.get(agent, [])]
    assert final_success(run, tmp_path, "experiment=two_tasks", *options) >= 0.5
