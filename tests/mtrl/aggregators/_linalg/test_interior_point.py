from functools import partial

import pytest
import torch

from mtrl.aggregators._linalg.cosines import unit_factor
from mtrl.aggregators._linalg.interior_point import min_over_simplex, simplex_step
from mtrl.aggregators.cagrad import ball_step, max_min_in_ball
from tests.mtrl.aggregators.families import FAMILIES, draw


@pytest.mark.parametrize("num", [2, 10, 50])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_linear_term(family, num):
    gradients = draw(family, num)
    gram = gradients @ gradients.T
    gram = gram / gram.diagonal().mean()
    linear = torch.randn(num, generator=torch.Generator().manual_seed(1)).double()
    w = min_over_simplex(gram, linear)
    slope = gram @ w + linear
    assert (w >= 0).all()
    assert w @ slope - slope.min() <= 1e-6


def test_a_converged_iterate_stands_still():
    gradients = draw("random", 10)
    gram = gradients @ gradients.T / 20
    few, many = (min_over_simplex(gram, torch.zeros(10).double(), n) for n in (25, 60))
    assert torch.equal(few, many)
    norms, lower = unit_factor(gram)
    factor = 0.1 * norms[:, None] * lower
    few, many = (torch.cat(max_min_in_ball(gram.mean(1), factor, n)) for n in (40, 80))
    assert torch.equal(few, many)


def test_a_compiled_step_is_the_step():
    """As graphs without writes in place, which the steps have."""
    gradients = draw("random", 10)
    gram = gradients @ gradients.T / 20
    factor = 0.1 * unit_factor(gram)[1]
    one_graph = partial(torch.compile, backend="aot_eager", fullgraph=True)
    for solve, arguments, step in (
        (min_over_simplex, (gram, gram[0], 16), simplex_step),
        (max_min_in_ball, (gram.mean(1), factor, 14), ball_step),
    ):
        torch.testing.assert_close(solve(*arguments, one_graph(step)), solve(*arguments))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_factor_reproduces_the_matrix(family):
    gradients = draw(family, 10)
    for rows in (gradients, gradients.float().double()):
        gram = rows @ rows.T
        norms, lower = unit_factor(gram)
        product = norms[:, None] * (lower @ lower.T) * norms
        scale = norms[:, None] * norms
        assert (product - gram).abs().le(1e-6 * scale).all()
