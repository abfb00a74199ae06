from itertools import pairwise

import pytest
import torch

from mtrl.aggregators import FAMO


def published_weights(losses, rate, decay):
    """The update of the authors' code, which evaluates each batch before and after a step."""
    w = torch.zeros(losses.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=rate, weight_decay=decay)
    for before, after in pairwise(losses):
        delta = (before + 1e-8).log() - (after + 1e-8).log()
        w.grad = torch.autograd.grad(w.softmax(-1), w, grad_outputs=delta)[0]
        optimizer.step()
    return w.detach().softmax(-1)


@pytest.mark.parametrize(("rate", "decay"), [(0.025, 0.001), (0.1, 0.01)])
def test_the_logits_move_as_in_the_published_code(rate, decay):
    rates = torch.tensor([1e-4, 3e-4, 1e-3, 2e-3, 4e-3]).double()
    losses = torch.exp(-rates * torch.arange(300).double()[:, None])
    aggregator = FAMO(5, learning_rate=rate, decay=decay)
    for values in losses:
        direction = aggregator(torch.eye(5), values)
    expected = published_weights(losses, rate, decay)
    torch.testing.assert_close(aggregator.logits.softmax(0), expected)
    weights = expected / losses[-1]
    torch.testing.assert_close(direction.weights.double(), weights / weights.sum())


def test_the_first_direction_is_that_of_the_log_losses():
    values = torch.tensor([4.0, 1.0])
    weights = FAMO(2)(torch.eye(2), values).weights
    expected = (1 / values) / (1 / values).sum()
    torch.testing.assert_close(weights, expected)


def test_a_task_that_falls_behind_gains():
    aggregator = FAMO(2, learning_rate=0.5)
    for step in range(5):
        aggregator(torch.eye(2), torch.tensor([1.0, 0.7**step]))
    assert aggregator.logits[0] > aggregator.logits[1]


def test_negative_losses_are_shifted_by_the_lowest_seen():
    aggregator = FAMO(2)
    for value in (-1.0, -5.0, -3.0):
        weights = aggregator(torch.eye(2), torch.tensor([value, 2.0])).weights
        assert weights.isfinite().all()
        assert (weights > 0).all()
    assert aggregator.lowest.tolist() == [-5.0, 0.0]


def test_a_task_that_is_back_is_compared_with_its_own_last_step_only():
    aggregator = FAMO(3)
    for values in ([1.0, 2.0, 1.0], [torch.nan, 1.9, 0.9], [0.1, 1.8, 0.8]):
        aggregator(torch.eye(3), torch.tensor(values))
    assert aggregator.logits[0] == 0, "its fall from 1 to 0.1 was that of two steps"
    assert (aggregator.logits[1:] != 0).all()
    aggregator(torch.eye(3), torch.tensor([0.05, 1.7, 0.7]))
    assert aggregator.logits[0] != 0
