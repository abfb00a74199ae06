import pytest
import torch

from mtrl.aggregators import DualProj
from tests.mtrl.aggregators.families import draw

ONES = torch.ones(4)


@pytest.mark.parametrize("family", ["random", "clusters", "equiangular", "lognormal_norms"])
@pytest.mark.parametrize("pref_vector", [None, [1.0, 2.0, 0.0, 5.0]])
def test_gives_what_torchjd_gives_without_its_epsilons(family, pref_vector):
    aggregation = pytest.importorskip("torchjd.aggregation")
    pytest.importorskip("quadprog")
    from torchjd.linalg import QuadprogProjector

    gradients = draw(family, 4)
    preference = torch.tensor(pref_vector or [1.0] * 4).double()
    exact = QuadprogProjector(norm_eps=0.0, reg_eps=0.0)
    expected = aggregation.DualProj(preference / preference.sum(), exact)(gradients)
    found = DualProj(4, pref_vector=pref_vector)(gradients, ONES).vector
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_without_conflict_it_is_the_mean():
    gradients = draw("near_parallel", 4)
    torch.testing.assert_close(DualProj(4)(gradients, ONES).vector, gradients.mean(0))
