import pytest
import torch

from mtrl.aggregators.imtl_g import imtl_g_weights
from tests.mtrl.aggregators.families import draw


@pytest.mark.parametrize("num", [2, 10, 50])
@pytest.mark.parametrize("family", ["random", "one_large", "equiangular", "lognormal_norms", "clusters"])
def test_equal_projections_on_unit_gradients(family, num):
    gradients = draw(family, num)
    v = imtl_g_weights(gradients @ gradients.T)
    projections = (gradients @ (v @ gradients)) / gradients.norm(dim=1)
    torch.testing.assert_close(projections, projections.mean().expand(num), rtol=1e-5, atol=1e-9)
    assert projections[0] > 0
    assert abs(v.sum()) == pytest.approx(1, abs=1e-9)


def test_a_negative_sum_does_not_turn_the_direction_around():
    # The short gradient is nearly the long one's: v = (2.3, -2.0)/0.3, then scaled so that Σv < 0.
    gradients = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.9, 0.45]]).double() * torch.tensor(
        [[3.0], [3.0], [0.1]]
    )
    gradients = torch.cat([gradients, torch.zeros(3, 1).double()], 1)
    gradients[:, 2] = torch.tensor([0.1, 0.1, 0.02])
    v = imtl_g_weights(gradients @ gradients.T)
    papers = torch.linalg.pinv(gradients @ gradients.T) @ gradients.norm(dim=1)
    assert papers.sum() < 0, "the example must be one where the paper's normalisation is negative"
    assert v.sum() == pytest.approx(-1)
    assert ((gradients @ (v @ gradients)) > 0).all()


def test_agrees_with_torchjd():
    aggregation = pytest.importorskip("torchjd.aggregation")
    gradients = draw("random", 6)
    expected = aggregation.IMTLG()(gradients)
    torch.testing.assert_close(imtl_g_weights(gradients @ gradients.T) @ gradients, expected)


def test_a_zero_gradient_is_left_out():
    # TorchJD's pseudo-inverse does the same.
    gradients = draw("one_zero", 5)
    v = imtl_g_weights(gradients @ gradients.T)
    assert v[0] == 0
    torch.testing.assert_close(v[1:], imtl_g_weights(gradients[1:] @ gradients[1:].T))
