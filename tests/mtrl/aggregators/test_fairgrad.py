import pytest
import torch

from mtrl.aggregators import FairGrad
from mtrl.aggregators.fairgrad import alpha_fair_weights
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import draw

SOLVABLE = [
    "random",
    "one_large",
    "near_parallel",
    "ill_conditioned",
    "lognormal_norms",
    "equiangular",
    "clusters",
]


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("num", [2, 10, 50])
@pytest.mark.parametrize("family", SOLVABLE)
def test_solves_the_papers_equation(family, num, alpha):
    gradients = draw(family, num)
    gram = gradients @ gradients.T
    scaled = gram / gram.diagonal().mean()
    w = alpha_fair_weights(gram, alpha)
    assert (w > 0).all()
    product = scaled @ w * w ** (1 / alpha)
    torch.testing.assert_close(product, torch.ones(num).double(), rtol=1e-4, atol=1e-4)


def test_agrees_with_torchjd_in_direction():
    aggregation = pytest.importorskip("torchjd.aggregation")
    gradients = draw("random", 5)
    expected = aggregation.FairGrad(alpha=2.0)(gradients)
    found = FairGrad(5, alpha=2.0)(gradients, torch.ones(5)).vector
    assert torch.cosine_similarity(found, expected, dim=0) == pytest.approx(1, abs=1e-6)


def test_pareto_stationary_gradients_give_a_vanishing_direction():
    gradients = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    assert FairGrad(2)(gradients, torch.ones(2)).vector.norm() < 1e-2


def test_options_are_checked():
    with pytest.raises(UsageError, match=r"FairGrad: alpha must be .* greater than 0; found 0"):
        FairGrad(3, alpha=0)
