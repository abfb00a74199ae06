import pytest
import torch

from mtrl.aggregators import UncertaintyWeighting
from mtrl.aggregators.uncertainty import uncertainty_step


def test_the_step_is_the_gradient_of_the_papers_objective():
    s = torch.tensor([0.3, -0.5, 0.0]).double().requires_grad_()
    values = torch.tensor([0.5, 1.2, 0.1]).double()
    objective = (0.5 * (-s).exp() * values + 0.5 * s).sum()
    (slope,) = torch.autograd.grad(objective, s)
    found = uncertainty_step(s.detach(), values, 0.1)
    torch.testing.assert_close(found, s.detach() - 0.1 * slope)


@pytest.mark.parametrize("sign", [1, -1])
def test_weights_settle_at_the_inverse_size_of_the_loss(sign):
    aggregator = UncertaintyWeighting(2, learning_rate=0.2)
    for _ in range(300):
        direction = aggregator(torch.eye(2), sign * torch.tensor([4.0, 0.5]))
    torch.testing.assert_close(direction.weights, torch.tensor([0.125, 1.0]), rtol=1e-3, atol=0)


def test_a_masked_task_keeps_its_variance():
    aggregator = UncertaintyWeighting(2)
    aggregator(torch.eye(2), torch.tensor([4.0, torch.inf]))
    assert aggregator.log_variance[0] > 0
    assert aggregator.log_variance[1] == 0
