import pytest
import torch

from mtrl.aggregators.graddrop import graddrop

HALF = torch.tensor([0.5, 0.5]).double()


def test_equals_algorithm_1_on_each_coordinate():
    torch.manual_seed(0)
    gradients = torch.randn(5, 40).double()
    uniform = torch.rand(40).double()
    purity = 0.5 * (1 + gradients.sum(0) / gradients.abs().sum(0))
    keep = (purity > uniform) * (gradients > 0) + (purity < uniform) * (gradients < 0)
    expected = (keep * gradients).sum(0) / 5
    shares = torch.full((5,), 0.2).double()
    torch.testing.assert_close(graddrop(gradients, shares, uniform), expected)


def test_signs_survive_with_their_probability():
    torch.manual_seed(0)
    gradients = torch.tensor([[3.0], [-1.0]]).double().expand(2, 20000)
    found = graddrop(gradients, HALF, torch.rand(20000).double())
    assert set(found.tolist()) == {1.5, -0.5}
    assert (found > 0).double().mean() == pytest.approx(0.75, abs=0.02)


def test_agreement_is_kept_and_zeros_stay():
    gradients = torch.tensor([[1.0, -2.0, 0.0], [3.0, -4.0, 0.0]]).double()
    for uniform in (0.0, 0.5, 0.999):
        found = graddrop(gradients, HALF, torch.full((3,), uniform).double())
        torch.testing.assert_close(found, gradients.mean(0))
