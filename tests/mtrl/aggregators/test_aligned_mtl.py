import pytest
import torch

from mtrl.aggregators import AlignedMTL
from mtrl.aggregators.aligned_mtl import aligned_mtl_weights
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import draw

ONES = torch.ones(4)


@pytest.mark.parametrize(
    "family", ["random", "rank_deficient", "opposite_pair", "lognormal_norms", "one_zero"]
)
@pytest.mark.parametrize("scale_mode", ["min", "median", "rmse"])
@pytest.mark.parametrize("pref_vector", [None, [1.0, 2.0, 0.0, 5.0]])
def test_gives_what_torchjd_gives(family, scale_mode, pref_vector):
    aggregation = pytest.importorskip("torchjd.aggregation")
    gradients = draw(family, 4)
    preference = torch.tensor(pref_vector or [1.0] * 4).double()
    expected = aggregation.AlignedMTL(preference / preference.sum(), scale_mode)(gradients)
    found = AlignedMTL(4, pref_vector=pref_vector, scale_mode=scale_mode)(gradients, ONES).vector
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_balanced_gradients_are_orthogonal_and_as_long_as_the_shortest_component():
    gradients = draw("random", 4)
    rows = torch.stack(
        [aligned_mtl_weights(gradients @ gradients.T, share) for share in torch.eye(4).double()]
    )
    shortest = torch.linalg.svdvals(gradients).min().square()
    balanced = rows @ gradients
    torch.testing.assert_close(balanced @ balanced.T, shortest * torch.eye(4).double())


def test_a_collinear_gradient_in_float32_adds_no_component():
    gradients = draw("random", 4).float()
    gradients[3] = 3 * gradients[0]
    method = AlignedMTL(4, scale_mode="min")
    exact, single = (method(rows, ONES).vector for rows in (gradients.double(), gradients))
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "bad", [[1.0, 2.0], [1.0, -1.0, 1.0, 1.0], [0.0] * 4, "equal", [1.0, torch.nan, 1, 1]]
)
def test_a_preference_that_does_not_fit_is_explained(bad):
    with pytest.raises(UsageError, match=r"AlignedMTL: pref_vector must be K = 4 finite numbers >= 0"):
        AlignedMTL(4, pref_vector=bad)
