import pytest
import torch

from mtrl.aggregators import PCGrad
from mtrl.aggregators.pcgrad import pcgrad_coefficients, random_orders
from tests.mtrl.aggregators.families import FAMILIES, draw
from tests.mtrl.aggregators.reference import pcgrad_loop


@pytest.mark.parametrize("num", [2, 5, 10])
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "one_zero"])
def test_equals_the_loop_over_vectors(family, num):
    torch.manual_seed(0)
    gradients = draw(family, num)
    gram = gradients @ gradients.T
    order = random_orders(gram)
    expected = pcgrad_loop(gradients, order)
    found = pcgrad_coefficients(gram, order) @ gradients
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10 * float(gradients.norm()))


def test_orders_are_permutations():
    orders = random_orders(torch.zeros(6, 6).double())
    assert torch.equal(orders.sort(1).values, torch.arange(6).expand(6, 6))


def test_permuting_tasks_and_orders_permutes_the_result():
    torch.manual_seed(0)
    gradients = draw("equiangular", 6)
    order = random_orders(gradients @ gradients.T)
    permutation = torch.randperm(6)
    inverse = permutation.argsort()
    moved = gradients[permutation]
    expected = pcgrad_coefficients(gradients @ gradients.T, order) @ gradients
    found = pcgrad_coefficients(moved @ moved.T, inverse[order[permutation]]) @ moved
    torch.testing.assert_close(found, expected[permutation])


def test_without_conflict_it_is_the_mean():
    gradients = torch.rand(5, 8)
    torch.testing.assert_close(PCGrad(5)(gradients, torch.ones(5)).vector, gradients.mean(0))


def test_two_tasks_have_a_closed_form():
    # Zhou et al., NeurIPS 2022: each gradient minus its projection on the other, where they conflict.
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([-2.0, 1.0])
    expected = (
        first - (first @ second) / second.square().sum() * second
        + second - (first @ second) / first.square().sum() * first
    ) / 2  # fmt: skip
    found = PCGrad(2)(torch.stack([first, second]), torch.ones(2)).vector
    torch.testing.assert_close(found, expected)


def test_agrees_with_torchjd_up_to_its_sum():
    aggregation = pytest.importorskip("torchjd.aggregation")
    # With two tasks the order does not matter; TorchJD sums as the paper, this is the mean.
    gradients = draw("equiangular", 2)
    expected = aggregation.PCGrad()(gradients) / 2
    torch.testing.assert_close(PCGrad(2)(gradients, torch.ones(2)).vector, expected)
