"""What every network of the configuration folder promises, and what is said of one that does not."""

from functools import partial

import pytest
import torch
from torch import nn

from mtrl.agents import networks
from mtrl.gradients.flat_module import PerTask
from mtrl.testing import ContractError, check_network
from mtrl.testing.network import CHECKS, Case
from tests.agents.built_agents import AGENTS, agent_config

NAMES = ("turn-0", "turn-120", "turn-240")  # tasks with a description


def build_of(agent, side):
    node = agent_config(agent).agent[side]
    options = {name: value for name, value in node.items() if not name.startswith("_")}
    return partial(getattr(networks, node._target_.rpartition(".")[2]), **options)


NETWORKS = [
    (agent, side)
    for agent in AGENTS
    for side in ("network", "critic_network")
    if agent_config(agent).agent[side] is not None
]


@pytest.mark.parametrize(("agent", "side"), NETWORKS)
@pytest.mark.parametrize("critic", [False, True], ids=["actor", "critic"])
@pytest.mark.parametrize("name", CHECKS)
def test_every_network_keeps_the_contract(agent, side, critic, name):
    CHECKS[name](Case(build_of(agent, side), NAMES, critic))


class Sound(nn.Module):
    """A network on which those below vary."""

    def __init__(self, sizes, layers):
        super().__init__()
        self.body = layers.mlp(sizes.inputs, [8], sizes.outputs)

    def forward(self, task, *inputs):
        return self.body(torch.cat(inputs, dim=-1))


class Looking(Sound):
    def forward(self, task, *inputs):
        rows = torch.cat(inputs, dim=-1)
        return self.body(rows - rows.mean(0))


class Waiting(Sound):
    def forward(self, task, *inputs):
        return super().forward(task, *inputs) * float(task.sum())


class Unseeded(Sound):
    def __init__(self, sizes, layers):
        super().__init__(sizes, layers)
        self.body = nn.Linear(sizes.inputs, sizes.outputs, device=layers.device)


class Short(Sound):
    def __init__(self, sizes, layers):
        super().__init__(sizes, layers)
        self.head = PerTask([layers.linear(3, 3), layers.linear(3, 3)])


class Detached(Sound):
    def forward(self, task, *inputs):
        return super().forward(task, *inputs).detach()


def test_a_sound_network_passes():
    check_network(Sound)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Looking, "must not depend on the other rows"),
        (Waiting, r"must work for one task under torch\.func\.vmap"),
        (Unseeded, r"drawn from layers\.generator"),
        (Short, "one module a task .* must hold 3 modules, found 2"),
        (Detached, "must have a gradient"),
        (lambda sizes, layers: layers.linear(sizes.inputs, sizes.outputs), r"must take \(task, \*inputs\)"),
    ],
)
def test_what_is_wrong_is_said_with_the_reason(network, words):
    with pytest.raises(ContractError, match=words):
        check_network(network)
