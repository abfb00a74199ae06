import pytest
import torch

from mtrl.aggregators import UPGrad
from mtrl.aggregators.upgrad import upgrad_weights
from tests.mtrl.aggregators.families import FAMILIES, draw

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
    expected = aggregation.UPGrad(preference / preference.sum(), exact)(gradients)
    found = UPGrad(4, pref_vector=pref_vector)(gradients, ONES).vector
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_task_gets_worse_at_any_scale(family, size):
    gradients = size * draw(family, 4)
    found = UPGrad(4)(gradients, ONES).vector
    assert (gradients @ found).min() >= -1e-9 * gradients.square().sum(1).max()


def test_two_tasks_are_those_of_pcgrad():
    gradients = draw("equiangular", 2)
    first, second = gradients
    projected = torch.stack(
        [a - (a @ b).clamp(max=0) / (b @ b) * b for a, b in ((first, second), (second, first))]
    )
    weights = upgrad_weights(gradients @ gradients.T, torch.full((2,), 0.5).double())
    torch.testing.assert_close(weights @ gradients, projected.mean(0))


def test_a_task_counts_in_proportion_to_its_gradients_length():
    # Linear under scaling, which min-norm methods are not.
    gradients, factors = draw("random", 4), torch.tensor([1.0, 3.0, 0.5, 1e6]).double()[:, None]
    whole = UPGrad(4)(factors * gradients, ONES).vector
    parts = []
    for task in range(4):
        alone = [float(task == other) for other in range(4)]
        parts.append(factors[task] * UPGrad(4, pref_vector=alone)(gradients, ONES).vector / 4)
    torch.testing.assert_close(whole, torch.stack(parts).sum(0), rtol=1e-9, atol=1e-9)
