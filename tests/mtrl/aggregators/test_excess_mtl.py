import pytest
import torch

from mtrl.aggregators import ExcessMTL
from tests.mtrl.aggregators.built_aggregators import losses, matrix


def test_follows_the_authors_code_without_its_epsilon():
    aggregator = ExcessMTL(4, learning_rate=0.3)
    squares, first, weights = torch.zeros(4, 6).double(), None, torch.full((4,), 0.25).double()
    for step in range(6):
        gradients = matrix(4, 6, step).double() * torch.tensor([[1.0], [1e-8], [1e8], [5.0]])
        squares += gradients.square()
        risks = (gradients.square() / squares.sqrt()).sum(1)
        if first is None:
            first = risks
        else:
            weights = weights * (0.3 * risks / first).exp()
            weights /= weights.sum()
        found = aggregator(gradients, losses(4, step))
        torch.testing.assert_close(found.weights, weights)
        torch.testing.assert_close(found.vector, weights @ gradients)


@pytest.mark.parametrize("start", [0.0, float("nan")])
def test_a_task_that_begins_late_is_measured_from_its_first_gradient(start):
    late, early = ExcessMTL(2), ExcessMTL(2)
    rows = matrix(2, 6)
    late(torch.stack([rows[0], torch.full_like(rows[1], start)]), torch.ones(2))
    early(rows, torch.ones(2))
    torch.testing.assert_close(late(rows, torch.ones(2)).weights[1], torch.tensor(0.5), atol=0.01, rtol=0)
    assert late.units.equal(early.units)
