import pytest
import torch

from mtrl.aggregators import MGDA, GradOPS
from mtrl.aggregators.gradops import gradops_projections, gradops_weights
from mtrl.aggregators.pcgrad import pcgrad_coefficients
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import FAMILIES, draw
from tests.mtrl.aggregators.reference import gram_schmidt_projection

# A projection loses digits with the conditioning of the others' span: ill_conditioned has 1e8.
PROJECTED = {
    "random": 1e-10,
    "lognormal_norms": 1e-8,
    "equiangular": 1e-10,
    "one_large": 1e-8,
    "clusters": 1e-6,
}


@pytest.mark.parametrize("num", [2, 10])
@pytest.mark.parametrize("family", PROJECTED)
def test_equals_reorthogonalised_gram_schmidt(family, num):
    gradients = draw(family, num)
    gram = gradients @ gradients.T
    coefficients, left = gradops_projections(gram)
    found = coefficients @ gradients
    for i in range(num):
        others = torch.cat([gradients[:i], gradients[i + 1 :]])
        expected = gradients[i]
        if (gram[i] < 0).any():
            expected = gram_schmidt_projection(gradients[i], others)
        size = float(gradients[i].norm())
        torch.testing.assert_close(found[i], expected, rtol=0, atol=PROJECTED[family] * size)
        assert left[i] == pytest.approx(float(expected.square().sum()) / size**2, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("num", [2, 10, 50])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_projection_conflicts(family, num):
    gradients = draw(family, num).float()
    gram = (gradients @ gradients.T).double()
    coefficients, _ = gradops_projections(gram)
    projections = coefficients @ gradients.double()
    norms = gradients.double().norm(dim=1)
    products = projections @ gradients.double().T
    assert (products >= -1e-4 * norms[:, None] * norms).all()


@pytest.mark.parametrize("alpha", [-2.0, -1.0, 0.0, 1.0])
@pytest.mark.parametrize("family", ["random", "equiangular", "lognormal_norms", "one_zero"])
def test_the_direction_conflicts_with_no_task(family, alpha):
    gradients = draw(family, 10).float()
    direction = GradOPS(10, alpha=alpha)(gradients, torch.ones(10)).vector
    products = gradients @ direction
    assert (products >= -1e-4 * gradients.norm(dim=1) * direction.norm()).all()


def test_two_tasks_and_no_trade_off_is_pcgrad():
    gradients = draw("equiangular", 2)
    gram = gradients @ gradients.T
    order = torch.tensor([[1, 0], [0, 1]])
    shares = torch.full((2,), 0.5).double()
    expected = shares @ pcgrad_coefficients(gram, order)
    torch.testing.assert_close(gradops_weights(gram, 0.0, shares), expected)


def test_the_trade_off_moves_towards_dominated_tasks():
    gradients = torch.tensor([[4.0, 0.0], [0.0, 1.0]])  # R is 4 and 1, so r is 1.6 and 0.4
    for alpha in (-1.0, 0.0, 1.0):
        powers = torch.tensor([1.6, 0.4]) ** alpha
        found = GradOPS(2, alpha=alpha)(gradients, torch.ones(2)).weights
        torch.testing.assert_close(found, powers / powers.sum())


def test_falls_back_to_mgda_where_every_projection_vanishes():
    # Three vectors in a plane, each in conflict with another and in the span of the other two.
    angles = torch.tensor([0.0, 2.0, 4.0])
    gradients = torch.stack([angles.cos(), angles.sin()], 1) + torch.tensor([0.3, 0.0])
    expected = MGDA(3)(gradients, torch.ones(3)).vector
    torch.testing.assert_close(GradOPS(3)(gradients, torch.ones(3)).vector, expected)
    # Not because GradOPS is MGDA:
    other = draw("random", 3).float()
    assert not torch.allclose(GradOPS(3)(other, torch.ones(3)).vector, MGDA(3)(other, torch.ones(3)).vector)


def test_options_are_checked():
    with pytest.raises(UsageError, match="GradOPS: alpha must be a number, finite; found inf"):
        GradOPS(3, alpha=float("inf"))
