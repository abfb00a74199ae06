import pytest
import torch

from mtrl.aggregators import DBMTL
from tests.mtrl.aggregators.built_aggregators import losses, matrix


@pytest.mark.parametrize(("beta", "beta_decay"), [(0.9, 0.0), (0.9, 0.5), (0.0, 0.0)])
def test_follows_the_published_code_but_for_its_length(beta, beta_decay):
    aggregator = DBMTL(4, beta=beta, beta_decay=beta_decay)
    average = None
    for step in range(1, 5):
        gradients, values = matrix(4, 6, step).double(), losses(4, step).double()
        fresh = gradients / values[:, None]
        share = beta / step**beta_decay
        average = fresh if average is None else fresh + share * (average - fresh)
        norms = average.norm(dim=1)
        expected = (norms.max() / norms) @ average
        found = aggregator(gradients, values).vector
        torch.testing.assert_close(found / found.norm(), expected / expected.norm())
        torch.testing.assert_close(
            found.norm(), (values * norms).max() * (average / norms[:, None]).mean(0).norm()
        )


def test_every_task_moves_equally_far_whatever_its_losses_and_gradients():
    aggregator = DBMTL(3, beta=0.0)
    rows = torch.eye(3) * torch.tensor([[1e-6], [1.0], [1e6]])
    found = aggregator(rows, torch.tensor([1e3, -2.0, 0.0])).vector
    torch.testing.assert_close(found, torch.full((3,), 1e6 / 3))


def test_small_losses_count_in_half_precision_too():
    gradients = torch.eye(2)
    losses = torch.tensor([1e-6, 1.0])
    expected = DBMTL(2)(gradients, losses).vector
    torch.testing.assert_close(DBMTL(2)(gradients.half(), losses).vector.float(), expected)
