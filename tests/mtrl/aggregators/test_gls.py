import torch

from mtrl.aggregators import GLS
from mtrl.aggregators.gls import gls_weights


def test_weights_are_the_slopes_of_the_geometric_mean():
    losses = torch.tensor([0.3, 7.0, 2.0]).double().requires_grad_()
    losses.log().mean().exp().backward()
    found = gls_weights(losses.detach(), torch.full((3,), 1 / 3).double())
    torch.testing.assert_close(found, losses.grad)


def test_a_unit_of_a_loss_changes_no_direction():
    rows, losses = torch.eye(3).double(), torch.tensor([0.3, 7.0, 2.0]).double()
    units = torch.tensor([1e3, 1.0, 1e-2]).double()
    first, second = GLS(3)(rows, losses), GLS(3)(units[:, None] * rows, units * losses)
    directions = [found.vector / found.vector.norm() for found in (first, second)]
    torch.testing.assert_close(*directions)


def test_losses_that_are_not_positive_count_by_their_size():
    rows = torch.eye(3).double()
    first, second = (GLS(3)(rows, torch.tensor([0.5, sign * 2.0, 4.0])).weights for sign in (1, -1))
    torch.testing.assert_close(first, second)
    assert GLS(3)(rows, torch.zeros(3)).weights.isfinite().all()
