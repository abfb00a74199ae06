import pytest
import torch

from mtrl.aggregators import GradNorm
from mtrl.aggregators.gradnorm import gradnorm_step
from mtrl.errors import UsageError


def test_one_step_by_hand():
    # Relative norms 0.5 and 1.5, equal rates: targets 1 and 1, so the first weight rises, the second falls.
    found = gradnorm_step(
        torch.ones(2).double(), torch.tensor([1.0, 3.0]).double(), torch.ones(2).double(), 1.5, 0.1
    )
    expected = torch.tensor([1.05, 0.85]).double()
    torch.testing.assert_close(found, expected * 2 / expected.sum())


def test_weights_balance_the_norms():
    aggregator = GradNorm(2, alpha=0.0, learning_rate=0.01)
    gradients = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    for _ in range(400):
        direction = aggregator(gradients, torch.ones(2))
    assert aggregator.task_weights.sum() == pytest.approx(2)
    weighted = aggregator.task_weights * torch.tensor([1.0, 3.0])
    assert weighted[0] == pytest.approx(float(weighted[1]), rel=0.05)
    torch.testing.assert_close(direction.weights.double(), aggregator.task_weights / 2, rtol=0.05, atol=0.02)


def test_a_task_that_lags_gains_weight():
    aggregator = GradNorm(2, alpha=1.5)
    gradients = torch.eye(2)
    aggregator(gradients, torch.tensor([1.0, 1.0]))
    for _ in range(10):
        aggregator(gradients, torch.tensor([1.0, 0.2]))
    assert aggregator.task_weights[0] > aggregator.task_weights[1]


def test_first_losses_are_the_first_usable_ones():
    aggregator = GradNorm(2)
    aggregator(torch.eye(2), torch.tensor([torch.nan, 2.0]))
    assert aggregator.seen.tolist() == [False, True]
    aggregator(torch.eye(2), torch.tensor([5.0, 1.0]))
    assert aggregator.first_losses.tolist() == [5.0, 2.0]


def test_a_zero_gradient_leaves_its_weight_alone():
    aggregator = GradNorm(3)
    for rate in (1.0, 0.7, 0.4):
        aggregator(torch.diag(torch.tensor([1.0, 2.0, 0.0])), torch.tensor([1.0, rate, 0.1]))
    assert aggregator.task_weights[2] == 1
    assert aggregator.task_weights.sum() == pytest.approx(3)
    assert aggregator.task_weights[0] != 1


def test_options_are_checked():
    with pytest.raises(UsageError, match=r"GradNorm: learning_rate must be .* greater than 0; found 0"):
        GradNorm(2, learning_rate=0)
