import pytest
import torch
from scipy.optimize import nnls

from mtrl.aggregators._linalg.dual_cone import project_onto_dual_cone
from tests.mtrl.aggregators.families import FAMILIES, draw


@pytest.mark.parametrize("num", [2, 10])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_nearest_directions_without_conflict(family, num):
    gradients = draw(family, num)
    sizes = gradients.norm(dim=1)
    combinations = torch.cat([torch.eye(num), torch.full((1, num), 1 / num)]).double()
    weights = project_onto_dual_cone(gradients @ gradients.T, combinations)
    assert (weights >= combinations * (1 - 1e-12)).logical_or(sizes == 0).all()
    unit = torch.nn.functional.normalize(gradients)
    for combination, found in zip(combinations, weights @ gradients, strict=True):
        size = (combination * sizes).max().clamp(min=1e-9)  # of the longest that is combined
        before, after = combination @ gradients / size, found / size
        assert (unit @ after).min() >= -1e-8
        # By Moreau, the projection onto the dual cone is what the cone's own projection leaves.
        added, _ = nnls(unit.T.numpy(), -before.numpy())
        torch.testing.assert_close(after, before + torch.from_numpy(added) @ unit, rtol=0, atol=1e-7)
