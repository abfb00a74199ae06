import pytest
import torch

from mtrl.aggregators import IMTLL
from tests.mtrl.aggregators.built_aggregators import losses

ROWS = torch.eye(4).double()


def test_learns_as_torchjds_scalarizer_does_by_descent():
    scalarization = pytest.importorskip("torchjd.scalarization")
    ours, theirs = IMTLL(4, learning_rate=0.1), scalarization.IMTLL(4).double()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    for step in range(5):
        values = losses(4, step).double().requires_grad_()
        optimizer.zero_grad()
        theirs(values).backward()
        optimizer.step()
        torch.testing.assert_close(ours(ROWS, values.detach()).weights, values.grad / 4)


def test_scaled_losses_become_one():
    aggregator, values = IMTLL(4, learning_rate=0.1), torch.tensor([0.1, 1.0, 30.0, -5.0])
    for _ in range(400):
        weights = aggregator(ROWS, values).weights
    torch.testing.assert_close(4 * weights * values.abs(), torch.ones(4).double(), rtol=1e-2, atol=0)
