import pytest
import torch

from mtrl.aggregators import NashMTL
from mtrl.aggregators.nash_mtl import nash_mtl_weights
from tests.mtrl.aggregators.families import draw
from tests.mtrl.aggregators.test_fairgrad import SOLVABLE


@pytest.mark.parametrize("num", [2, 10, 50])
@pytest.mark.parametrize("family", SOLVABLE)
def test_the_bargaining_solution(family, num):
    gradients = draw(family, num)
    gram = gradients @ gradients.T
    alpha = nash_mtl_weights(gram)
    product = alpha * (gram / gram.diagonal().mean() @ alpha)
    torch.testing.assert_close(product, torch.ones(num).double(), rtol=1e-6, atol=1e-6)


def test_two_tasks_have_a_closed_form():
    # α_i n_i are equal: α_1² n_1² + α_1 α_2 g_12 = α_2² n_2² + α_1 α_2 g_12.
    gradients = draw("random", 2)
    alpha = nash_mtl_weights(gradients @ gradients.T)
    norms = gradients.norm(dim=1)
    assert alpha[0] * norms[0] == pytest.approx(float(alpha[1] * norms[1]))


def test_a_task_cannot_gain_by_scaling_itself():
    gradients = draw("random", 5).float()
    scaled = gradients * torch.tensor([1.0, 50.0, 1.0, 0.02, 1.0])[:, None]
    first, second = (NashMTL(5)(rows, torch.ones(5)).vector for rows in (gradients, scaled))
    assert torch.cosine_similarity(first, second, dim=0) == pytest.approx(1, abs=1e-5)
