import pytest
import torch
from torch import nn

from mtrl.gradients.flat_module import FlatModule, PerTask
from mtrl.gradients.per_task import per_task_gradients
from mtrl.gradients.proposals import proposed_gradients
from mtrl.types import Proposal


class Headed(nn.Module):
    def __init__(self, tasks):
        super().__init__()
        self.trunk = nn.Linear(4, 8)
        self.head = PerTask(nn.Linear(8, 1) for _ in range(tasks))

    def forward(self, x):
        return self.head(self.trunk(x).tanh())


@pytest.fixture
def network():
    torch.manual_seed(0)
    return FlatModule(Headed(5), 5)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, 6, 4, generator=generator), torch.randn(5, 6, generator=generator)


def loss_of(network):
    def task_loss(shared, own, samples):
        x, y = samples
        error = network.apply_with(shared, own, x).squeeze(-1) - y
        return error.square().mean(), {"worst": error.abs().max()}

    return task_loss


def test_gradients_equal_separate_backward_passes(network, data):
    task_loss = loss_of(network)
    found = per_task_gradients(task_loss, network.shared, network.own, data)
    assert found.shared.shape == (5, network.shared.numel())
    for task in range(5):
        own = network.own[task].detach().requires_grad_()
        loss, metrics = task_loss(network.shared, own, (data[0][task], data[1][task]))
        shared_gradient, own_gradient = torch.autograd.grad(loss, (network.shared, own))
        torch.testing.assert_close(found.shared[task], shared_gradient, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(found.own[task], own_gradient, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(found.losses[task], loss)
        torch.testing.assert_close(found.metrics["worst"][task], metrics["worst"])


def test_a_task_gradient_depends_on_its_own_samples_only(network, data):
    before = per_task_gradients(loss_of(network), network.shared, network.own, data)
    data[0][1] *= 3
    after = per_task_gradients(loss_of(network), network.shared, network.own, data)
    for name in ("shared", "own"):
        assert torch.equal(getattr(before, name)[0], getattr(after, name)[0])
        assert not torch.equal(getattr(before, name)[1], getattr(after, name)[1])


@pytest.mark.parametrize("singles", [1, 2, 4, 5])
def test_proposed_gradients_equal_mixed_ones(network, data, singles):
    full = per_task_gradients(loss_of(network), network.shared, network.own, data)
    proposal = Proposal(torch.randperm(5), singles)
    found = proposed_gradients(loss_of(network), network.shared, network.own, data, proposal)
    assert len(found.shared) == min(singles + 1, 5)
    torch.testing.assert_close(found.shared, proposal.mixing().float() @ full.shared, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.own, full.own, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.losses, full.losses)
    torch.testing.assert_close(found.metrics["worst"], full.metrics["worst"])
