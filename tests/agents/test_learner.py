import pytest
import torch
from torch import nn

from mtrl.agents.learner import Learner, StepOptions
from mtrl.agents.networks.layers import Vector
from mtrl.aggregators import MGDA, CAGrad, Mean, TaskSubset
from mtrl.gradients.aggregation import Aggregated
from mtrl.gradients.flat_module import FlatModule, PerTask
from mtrl.gradients.per_task import TaskGradients
from mtrl.types import Direction


class Headed(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(2, 2)
        self.head = PerTask(nn.Linear(2, 1) for _ in range(3))


def learner(**options):
    return Learner(FlatModule(Headed(), 3), Mean(3), StepOptions(**options))


def directions(shared, own):
    nothing = torch.zeros(3)
    found = TaskGradients(torch.zeros(3, 6), own, nothing, {})
    return Aggregated(found, found.shared, Direction(shared, None, {}), shared, own, nothing > 0)


def test_directions_are_clipped_each_task_by_itself():
    one = learner(max_gradient_norm=2.0)
    shared, own = 10 * torch.ones(6), torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.3, 0.4], [0.0, 0.0, 0.0]])
    one.step(directions(shared, own))
    torch.testing.assert_close(one.network.shared.grad.norm(), torch.tensor(2.0))
    torch.testing.assert_close(one.network.own.grad.norm(dim=1), torch.tensor([2.0, 0.5, 0.0]))
    torch.testing.assert_close(one.network.own.grad[1], own[1])


def test_weight_decay_shrinks_parameters_without_a_gradient():
    one = learner(weight_decay=0.1, learning_rate=0.5)
    before = one.network.shared.detach().clone()
    one.step(directions(torch.zeros(6), torch.zeros(3, 3)))
    torch.testing.assert_close(one.network.shared.detach(), (1 - 0.5 * 0.1) * before)


def distance(shared, own, centre):
    return (shared - centre).square().sum() + (own * centre[:2]).sum(), {"first": shared[0]}


class Points(nn.Module):
    def __init__(self, tasks):
        super().__init__()
        self.shared = Vector(torch.zeros(3))
        self.own = PerTask(Vector(torch.ones(2)) for _ in range(tasks))


@torch.no_grad()
def aggregated(aggregator, centres, scope="shared"):
    network = FlatModule(Points(len(centres)), len(centres))
    one = Learner(network, aggregator, StepOptions(aggregate=scope))
    return one.aggregate(one.gradients(distance, centres))


def test_an_aggregator_that_proposes_gradients_gets_only_those_and_statistics_stay_per_task():
    centres = torch.randn(5, 3)
    full = aggregated(Mean(5), centres)
    assert set(full.metrics("actor", diagnose=True)) >= {
        "actor/gradient_norm",
        "actor/weight",
        "actor/loss",
    }
    subset = aggregated(TaskSubset(CAGrad(5), size=2), centres)
    assert full.gradients.shape == (5, 3)
    assert subset.gradients.shape == (3, 3)
    torch.testing.assert_close(subset.found.losses, full.found.losses)
    metrics = subset.metrics("actor", diagnose=True)
    assert "actor/gradient_norm" not in metrics
    assert metrics["actor/weight"].shape == (5,)


@pytest.mark.parametrize("method", [MGDA(4), TaskSubset(CAGrad(4), size=2)])
def test_own_parameters_follow_their_gradient_and_stay_out_of_the_aggregator(method):
    centres = torch.randn(4, 3)
    torch.manual_seed(0)
    found = aggregated(method, centres)
    torch.manual_seed(0)
    gradients = -2 * centres
    if isinstance(method, TaskSubset):
        proposal = method.propose(gradients.device)
        expected = method(proposal.mixing().float() @ gradients, found.found.losses, proposal)
    else:
        expected = method(gradients, found.found.losses)
    torch.testing.assert_close(found.own, centres[:, :2])
    torch.testing.assert_close(found.shared, expected.vector)


def test_taken_in_own_parameters_are_coordinates_in_which_the_others_have_no_gradient():
    centres = torch.randn(4, 3)
    found = aggregated(MGDA(4), centres, "all")
    blocks = torch.block_diag(*centres[:, None, :2])  # [K, K Q]
    joint = torch.cat([-2 * centres, blocks], dim=1)
    torch.testing.assert_close(found.gradients, joint)
    expected = MGDA(4)(joint, torch.ones(4)).vector
    torch.testing.assert_close(found.shared, expected[:3])
    torch.testing.assert_close(found.own, expected[3:].view(4, 2))


def test_taken_in_own_parameters_of_a_subset_have_the_mean_scale():
    centres = torch.randn(4, 3)
    # c = 0 is the mean, whatever was proposed.
    found = aggregated(TaskSubset(CAGrad(4, c=0.0), size=2), centres, "all")
    torch.testing.assert_close(found.own, centres[:, :2] / 4)


@pytest.mark.parametrize("scope", ["shared", "all"])
def test_a_task_without_finite_gradients_stands_still(scope):
    centres = torch.randn(4, 3)
    centres[1] = torch.inf
    found = aggregated(Mean(4), centres, scope)
    assert found.shared.isfinite().all()
    assert found.own[1].eq(0).all()
    assert found.own[[0, 2, 3]].ne(0).all()
    assert found.nonfinite.tolist() == [False, True, False, False]
