import pytest
import torch

from mtrl.aggregators import DynamicWeighting
from mtrl.aggregators.dynamic_weighting import dynamic_weights
from mtrl.aggregators.pcgrad import pcgrad_coefficients, random_orders
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import draw


def test_the_papers_formula_on_vectors():
    torch.manual_seed(0)
    gradients, alpha = 0.3 * draw("random", 5), -1.5
    gram = gradients @ gradients.T
    coefficients = pcgrad_coefficients(gram, random_orders(gram))
    for own in (torch.eye(5).double(), coefficients):
        modified = own @ gradients
        along = gradients @ modified.sum(0) / gradients.norm(dim=1)
        r = along.exp() / along.exp().mean()
        weights = r**alpha / (r**alpha).mean()
        expected = (weights[:, None] * modified).mean(0)
        found = dynamic_weights(gram, own, alpha, torch.full((5,), 0.2).double()) @ gradients
        torch.testing.assert_close(found, expected)


def test_no_trade_off_is_the_mean():
    gradients = draw("equiangular", 4).float()
    found = DynamicWeighting(4, alpha=0.0)(gradients, torch.ones(4)).vector
    torch.testing.assert_close(found, gradients.mean(0))


def test_options_are_checked():
    with pytest.raises(UsageError, match="gradients must be one of raw, pcgrad; found 'PCGrad'"):
        DynamicWeighting(3, gradients="PCGrad")
