import torch

from mtrl.aggregators import FAMO
from mtrl.aggregators.famo import famo_logits


def test_the_step_is_a_vector_jacobian_product():
    logits = torch.tensor([0.2, -0.4, 0.1]).double()
    before, after = torch.tensor([1.0, 0.5, 0.2]).double(), torch.tensor([0.4, 0.5, 0.3]).double()
    jacobian = torch.autograd.functional.jacobian(lambda x: x.softmax(0), logits)
    expected = logits - 0.1 * (jacobian.T @ (before - after) + 0.01 * logits)
    torch.testing.assert_close(famo_logits(logits, before, after, 0.1, 0.01), expected)


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


def test_a_masked_task_leaves_no_trace():
    aggregator = FAMO(2)
    aggregator(torch.eye(2), torch.tensor([1.0, 2.0]))
    aggregator(torch.eye(2), torch.tensor([torch.nan, 2.0]))
    assert aggregator.previous.tolist() == [1.0, 2.0]
    assert aggregator.logits.abs().max() == 0
