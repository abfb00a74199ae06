from functools import partial

import numpy as np
import pytest
import torch

from mtrl.aggregators import (
    FAMO,
    MGDA,
    Aggregator,
    CAGrad,
    GradientTracking,
    GramAggregator,
    TaskSubset,
    gram_matrix,
)
from mtrl.aggregators.base import BLOCK, combine, finite_blocks, gradient_norms
from mtrl.errors import UsageError
from mtrl.types import Direction


class Loudest(GramAggregator):
    """A user's own method: everything on the longest gradient."""

    def weights(self, gram, losses, shares):
        return (gram.diagonal() == gram.diagonal().max()).double()


def test_a_method_of_ones_own_needs_one_function():
    gradients = torch.tensor([[1.0, 0.0], [torch.nan, 9.0], [0.0, 2.0]])
    direction = Loudest(3)(gradients, torch.ones(3))
    assert direction.vector.tolist() == [0.0, 2.0]
    assert direction.metrics["masked_tasks"] == 1


@pytest.mark.parametrize("inner", [CAGrad, partial(CAGrad, c=0.9), CAGrad(3, c=0.9)])
def test_wrappers_take_instances_and_what_makes_them(inner):
    assert GradientTracking(inner, num_tasks=3).num_tasks == 3


class Momentum(Aggregator):
    """A user's own method with a state as large as the gradients."""

    keeps_task_state = True

    def __init__(self, num_tasks):
        super().__init__(num_tasks)
        self.register_buffer("average", torch.zeros(num_tasks, 0))

    def aggregate(self, gradients, losses, shares):
        if self.average.numel() == 0:
            self.average = torch.zeros_like(gradients)
        self.average.lerp_(gradients, (0.5 * (shares > 0))[:, None].to(gradients.dtype))
        return Direction(shares.to(gradients.dtype) @ self.average, None, {})


@pytest.mark.parametrize("wrap", [lambda inner: inner, lambda inner: GradientTracking(inner, beta=0.5)])
def test_a_method_of_ones_own_with_a_row_for_each_task_is_resumed(wrap):
    first, resumed = wrap(Momentum(3)), wrap(Momentum(3))
    gradients = torch.randn(3, 5)
    first(gradients, torch.ones(3))
    resumed.load_state_dict(first.state_dict())
    expected = first(-gradients, torch.ones(3)).vector
    assert torch.equal(resumed(-gradients, torch.ones(3)).vector, expected)
    with pytest.raises(UsageError, match="does not fit num_tasks = 4"):
        wrap(Momentum(4)).load_state_dict(first.state_dict())


def test_what_is_remembered_keeps_its_precision():
    model = torch.nn.ModuleDict({"net": torch.nn.Linear(2, 2), "aggregator": FAMO(3)}).half()
    assert model["net"].weight.dtype == torch.float16
    assert model["aggregator"].logits.dtype == torch.float64
    moved = Momentum(3).to("meta", torch.bfloat16)
    assert (moved.average.device.type, moved.average.dtype) == ("meta", torch.float32)


def test_numbers_of_numpy_are_numbers():
    aggregator = CAGrad(np.int64(3), c=np.float32(0.5), learning_rate=np.int32(25))
    assert (type(aggregator.num_tasks), type(aggregator.c)) == (int, float)
    gradients = torch.randn(3, 5)
    expected = CAGrad(3, c=0.5)(gradients, torch.ones(3)).vector
    torch.testing.assert_close(aggregator(gradients, torch.ones(3)).vector, expected)
    assert TaskSubset(CAGrad(4), size=np.int16(2)).size == 2


def test_wrappers_nest_either_way():
    inside = partial(GradientTracking, partial(CAGrad, c=0.9), beta=0.5)
    assert GradientTracking(inside, num_tasks=4).inner.inner.num_tasks == 4


@pytest.mark.parametrize(
    ("inner", "num_tasks", "message"),
    [
        (CAGrad(3), 4, "num_tasks must be that of inner, 3, or left out; found 4"),
        (CAGrad, None, "num_tasks must be given"),
        ("cagrad", 3, "inner must be an aggregator, or make one .* found 'cagrad'"),
    ],
)
def test_wrappers_explain_what_is_missing(inner, num_tasks, message):
    with pytest.raises(UsageError, match="GradientTracking: " + message):
        GradientTracking(inner, num_tasks=num_tasks)


def test_gradients_with_a_graph_leave_none_behind():
    gradients = torch.ones(2, 3, requires_grad=True)
    assert not MGDA(2)(gradients, torch.ones(2)).vector.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_combine_reads_no_row_that_it_must_not(dtype):
    gradients = torch.randn(4, 1000).to(dtype)
    weights = torch.tensor([0.5, -1.0, 2.0, 0.25])
    usable = torch.tensor([False, True, True, True])
    expected = weights[1:].to(dtype) @ gradients[1:]
    gradients[0] = torch.inf
    found = combine(weights, gradients, usable)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=2e-2 if dtype == torch.bfloat16 else 1e-5, atol=2e-2)
    assert torch.equal(combine(weights, gradients, ~usable & False), torch.zeros(1000, dtype=dtype))


def test_half_precision_is_accumulated_in_single():
    rows = torch.full((2, 4096), 0.1, dtype=torch.bfloat16)
    exact = 4096 * rows[0, 0].double().square()
    torch.testing.assert_close(gram_matrix(rows), exact.expand(2, 2), rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient_norms(rows), exact.sqrt().expand(2), rtol=1e-5, atol=0)


def test_autocast_does_not_reach_the_gram_matrix():
    rows = torch.randn(3, 500)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = gram_matrix(rows)
    assert torch.equal(inside, gram_matrix(rows))


def test_blocks_cover_every_column_and_leave_the_gradients_alone():
    gradients = torch.randn(4, BLOCK // 4 + 3)
    gradients[1, 0], gradients[2, -1] = torch.nan, -torch.inf
    before = gradients.clone()
    found = torch.cat([block.clone() for block in finite_blocks(gradients)], dim=1)
    torch.testing.assert_close(found, before.nan_to_num(0, 0, 0), rtol=0, atol=0)
    torch.testing.assert_close(gradients, before, rtol=0, atol=0, equal_nan=True)
