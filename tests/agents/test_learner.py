import torch
from torch import nn

from mtrl.agents.learner import Learner, StepOptions
from mtrl.aggregators import Mean
from mtrl.gradients.aggregation import Aggregated
from mtrl.gradients.flat_module import FlatModule, PerTask
from mtrl.types import Direction


class Headed(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(2, 2)
        self.head = PerTask(nn.Linear(2, 1) for _ in range(3))


def learner(**options):
    return Learner(FlatModule(Headed(), 3), Mean(3), StepOptions(**options))


def aggregated(shared, own):
    nothing = torch.zeros(3)
    return Aggregated(torch.zeros(3, 6), nothing, {}, Direction(shared, None, {}), shared, own, nothing > 0)


def test_directions_are_clipped_each_task_by_itself():
    one = learner(max_gradient_norm=2.0)
    shared, own = 10 * torch.ones(6), torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.3, 0.4], [0.0, 0.0, 0.0]])
    one.step(aggregated(shared, own))
    torch.testing.assert_close(one.network.shared.grad.norm(), torch.tensor(2.0))
    torch.testing.assert_close(one.network.own.grad.norm(dim=1), torch.tensor([2.0, 0.5, 0.0]))
    torch.testing.assert_close(one.network.own.grad[1], own[1])


def test_weight_decay_shrinks_parameters_without_a_gradient():
    one = learner(weight_decay=0.1, learning_rate=0.5)
    before = one.network.shared.detach().clone()
    one.step(aggregated(torch.zeros(6), torch.zeros(3, 3)))
    torch.testing.assert_close(one.network.shared.detach(), (1 - 0.5 * 0.1) * before)
