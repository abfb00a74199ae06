import pytest
import torch

from mtrl.aggregators import STCH
from mtrl.aggregators.stch import stch_weights


def test_weights_are_the_gradient_of_the_smooth_maximum():
    losses = torch.tensor([0.3, -1.0, 2.0]).double().requires_grad_()
    ideal, shares = torch.tensor([0.1, -1.5, 0.0]).double(), torch.full((3,), 1 / 3).double()
    maximum = 0.4 * (shares * ((losses - ideal) / 0.4).exp()).sum().log()
    (expected,) = torch.autograd.grad(maximum, losses)
    torch.testing.assert_close(stch_weights(losses.detach(), ideal, shares, 0.4), expected)


@pytest.mark.parametrize(("mu", "expected"), [(1e-3, [0.0, 1.0]), (1e6, [0.5, 0.5])])
def test_mu_leads_from_the_worst_task_to_the_mean(mu, expected):
    aggregator = STCH(2, mu=mu)
    first = aggregator(torch.eye(2), torch.tensor([1.0, 1.0])).weights
    torch.testing.assert_close(first, torch.tensor([0.5, 0.5]))
    weights = aggregator(torch.eye(2), torch.tensor([1.1, 1.5])).weights
    torch.testing.assert_close(weights, torch.tensor(expected), atol=1e-5, rtol=0)


def test_the_ideal_is_the_lowest_loss_of_the_calls_that_counted():
    aggregator = STCH(2)
    for values in ([3.0, 1.0], [torch.nan, 2.0], [-2.0, 5.0], [4.0, 4.0]):
        assert aggregator(torch.eye(2), torch.tensor(values)).weights.isfinite().all()
    assert aggregator.ideal.tolist() == [-2.0, 1.0]
