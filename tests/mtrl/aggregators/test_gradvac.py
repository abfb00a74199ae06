import pytest
import torch

from mtrl.aggregators import GradVac
from mtrl.aggregators.gradvac import gradvac_coefficients
from mtrl.aggregators.pcgrad import pcgrad_coefficients, random_orders
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import FAMILIES, draw
from tests.mtrl.aggregators.reference import gradvac_loop

LOOP_FAMILIES = [name for name in FAMILIES if name not in ("one_zero", "rank_deficient", "opposite_pair")]


@pytest.mark.parametrize("num", [3, 10])
@pytest.mark.parametrize("family", LOOP_FAMILIES)
def test_equals_the_loop_over_vectors(family, num):
    torch.manual_seed(0)
    gradients = draw(family, num)
    gram = gradients @ gradients.T
    target = torch.rand(num, num).double() * 0.8 - 0.2
    order = random_orders(gram)
    expected, expected_target = gradvac_loop(gradients, order, target, 0.3)
    coefficients, found_target = gradvac_coefficients(gram, order, target, 0.3)
    size = float((coefficients.abs() @ gradients.norm(dim=1)).max())
    torch.testing.assert_close(coefficients @ gradients, expected, rtol=1e-10, atol=1e-10 * size)
    torch.testing.assert_close(found_target, expected_target, rtol=1e-8, atol=1e-8)


def test_a_target_of_zero_is_pcgrad():
    torch.manual_seed(0)
    gradients = draw("equiangular", 6)
    gram = gradients @ gradients.T
    order = random_orders(gram)
    found, _ = gradvac_coefficients(gram, order, torch.zeros(6, 6).double(), 0.0)
    torch.testing.assert_close(found, pcgrad_coefficients(gram, order))


def test_a_pair_reaches_its_target():
    gradients = torch.tensor([[1.0, 0.0], [0.0, 2.0]]).double()
    target = torch.full((2, 2), 0.6, dtype=torch.float64)
    order = torch.tensor([[1, 0], [0, 1]])
    coefficients, _ = gradvac_coefficients(gradients @ gradients.T, order, target, 0.0)
    modified = coefficients @ gradients
    for i in range(2):
        cosine = torch.cosine_similarity(modified[i], gradients[1 - i], dim=0)
        assert cosine == pytest.approx(0.6, abs=1e-12)


def test_targets_follow_the_cosines_and_skip_pairs_without_an_angle():
    aggregator = GradVac(3, beta=0.5)
    gradients = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    aggregator(gradients, torch.ones(3))
    expected = 0.5 / 2**0.5
    assert aggregator.target[0, 1] == pytest.approx(expected, abs=1e-6)
    assert aggregator.target[1, 0] == pytest.approx(expected, abs=1e-6)
    assert (aggregator.target[2] == 0).all()
    assert (aggregator.target[:, 2] == 0).all()
    assert (aggregator.target.diagonal() == 0).all()


def test_options_are_checked():
    with pytest.raises(UsageError, match=r"GradVac: beta must be .* at most 1; found 1\.5"):
        GradVac(3, beta=1.5)
