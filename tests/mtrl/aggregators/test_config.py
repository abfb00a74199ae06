import pytest
import torch

from mtrl.aggregators import ConFIG
from tests.mtrl.aggregators.families import draw

ONES = torch.ones(4)


@pytest.mark.parametrize("family", ["random", "rank_deficient", "opposite_pair", "one_zero"])
@pytest.mark.parametrize("pref_vector", [None, [1.0, 2.0, 0.5, 5.0]])
def test_gives_the_kth_part_of_what_torchjd_gives(family, pref_vector):
    aggregation = pytest.importorskip("torchjd.aggregation")
    gradients = draw(family, 4)
    preference = None if pref_vector is None else torch.tensor(pref_vector).double()
    expected = aggregation.ConFIG(preference)(gradients) / 4
    found = ConFIG(4, pref_vector=pref_vector)(gradients, ONES).vector
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_cosines_are_equal_and_the_length_is_the_mean_projection():
    gradients = draw("random", 4)
    found = ConFIG(4)(gradients, ONES).vector
    projections = gradients @ found / found.norm()
    cosines = projections / gradients.norm(dim=1)
    torch.testing.assert_close(cosines, cosines[:1].expand(4))
    torch.testing.assert_close(found.norm(), projections.mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_opposite_gradients_stop(dtype):
    row = draw("random", 4)[:1].to(dtype)
    found = ConFIG(2)(torch.cat([row, -3 * row]), torch.ones(2)).vector
    assert found.norm() <= 1e-5 * row.norm()
