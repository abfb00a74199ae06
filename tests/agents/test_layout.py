"""An aggregator is told which columns of its gradients belong to which parameter."""

import torch
from torch import nn

import mtrl
from mtrl.aggregators import Aggregator, GradientTracking, Mean
from mtrl.types import Direction
from tests.agents.built_agents import build
from tests.conftest import random_batch


class LongestOfEach(Aggregator):
    """For each parameter the longest of its gradients."""

    def aggregate(self, gradients, losses, shares):
        assert self.layout is not None
        parts = [gradients[:, columns] for columns in self.layout.columns().values()]
        return Direction(torch.cat([part[part.norm(dim=1).argmax()] for part in parts]), None, {})


def test_backward_tells_a_wrapped_method():
    weights = [nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(4))]
    losses = torch.stack([weights[0].sum() + 3 * weights[1].sum(), 2 * weights[0].sum()])
    mtrl.backward(losses, weights, GradientTracking(LongestOfEach(2)))
    assert weights[0].grad.equal(torch.full((2, 3), 2.0))
    assert weights[1].grad.equal(torch.full((4,), 3.0))


def test_a_learner_tells_names_and_with_all_parameters_aggregated_also_the_tasks_own(spec):
    for scope in ("shared", "all"):
        agent = build("multihead", spec, "mean", aggregate=scope)
        learner, network = agent.actor, agent.actor.network
        columns = learner.aggregator.layout.columns()
        found = learner.aggregate(agent.actor_gradients(agent.task_batch(random_batch(spec, 8))))
        assert list(columns.values())[-1].stop == found.gradients.shape[1]
        for name in network.shared_shapes:
            assert network.shared[columns[name]].shape == (network.shared_shapes[name].numel(),)
        heads = [name for name in columns if name not in network.shared_shapes]
        assert len(heads) == (0 if scope == "shared" else spec.num_tasks * len(network.own_shapes))
        for name in heads:
            task = int(name.split("members.")[1].split(".")[0])
            others = [other for other in range(spec.num_tasks) if other != task]
            assert (found.gradients[others, columns[name]] == 0).all()


def test_where_nobody_says_it_there_is_none():
    assert Mean(2).layout is None
