import torch

from mtrl.aggregators.mgda import mgda_weights
from mtrl.aggregators.sdmgrad import sdmgrad_weights
from tests.mtrl.aggregators.families import draw

SHARES = torch.full((10,), 0.1).double()


def test_no_pull_is_mgda_and_much_pull_the_mean():
    gradients = draw("lognormal_norms", 10)
    gram = gradients @ gradients.T
    none, much = sdmgrad_weights(gram, 0.0, SHARES), sdmgrad_weights(gram, 1e6, SHARES)
    torch.testing.assert_close(none, mgda_weights(gram), rtol=0, atol=1e-4)
    torch.testing.assert_close(much, SHARES, rtol=0, atol=1e-5)


def test_no_vertex_improves_the_objective():
    # First-order optimality over the simplex, at every pull.
    gradients = draw("lognormal_norms", 10)
    gram = gradients @ gradients.T
    for pull in (0.1, 0.3, 3.0):
        weights = (1 + pull) * sdmgrad_weights(gram, pull, SHARES)
        slope = gram @ weights
        w = weights - pull * SHARES
        assert (w >= -1e-9).all()
        assert w @ slope - slope.min() <= 1e-6 * gram.diagonal().mean()
