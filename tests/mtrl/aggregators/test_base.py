from functools import partial

import numpy as np
import pytest
import torch

from mtrl.aggregators import (
    FAMO,
    MGDA,
    Aggregator,
    CAGrad,
    CorrelationReduced,
    GradientTracking,
    GramAggregator,
    TaskSubset,
)
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


class Answers(GramAggregator):
    """Returns what it was made with instead of weights."""

    def __init__(self, num_tasks, *, answer):
        super().__init__(num_tasks)
        self.answer = answer

    def weights(self, gram, losses, shares):
        return self.answer


@pytest.mark.parametrize("wrapper", [None, GradientTracking, CorrelationReduced, partial(TaskSubset, size=3)])
@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (torch.tensor(0.5), r"weights must be \[K\] = \[3\], found \[\]"),
        (torch.ones(1), r"found \[1\]"),
        (torch.ones(3, 1), r"found \[3, 1\]"),
        (torch.ones(4), r"found \[4\]"),
        (np.ones(3), "must be .* a tensor, found ndarray; stay in PyTorch"),
        (0.5, "found float"),
        (None, "found NoneType"),
        (torch.ones(3, device="meta"), "on cpu, found meta"),
    ],
)
def test_weights_that_are_none_are_named_with_their_class(answer, found, wrapper):
    aggregator = Answers(3, answer=answer)
    if wrapper is not None:
        aggregator = wrapper(aggregator)
    with pytest.raises(UsageError, match=f"^Answers: .*{found}"):
        aggregator(torch.randn(3, 5), torch.ones(3))


class Directs(Aggregator):
    """Returns what it was made with instead of a direction."""

    def __init__(self, num_tasks, *, answer):
        super().__init__(num_tasks)
        self.answer = answer

    def aggregate(self, gradients, losses, shares):
        return self.answer


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (torch.ones(5), "aggregate must return an mtrl.types.Direction, found Tensor"),
        (Direction(torch.ones(1, 5), None, {}), r"the vector must be \[P\] = \[5\], found \[1, 5\]"),
        (Direction(np.ones(5), None, {}), "found ndarray"),
        (Direction(torch.ones(5).double(), None, {}), "type torch.float32, found torch.float64"),
        (Direction(torch.ones(5), torch.ones(3, 1), {}), r"weights must be \[K\] = \[3\], found \[3, 1\]"),
        (Direction(torch.ones(5), None, {"step": 3}), "metric 'step' must be a tensor .* found int"),
        (Direction(torch.ones(5), None, {"norms": torch.ones(5)}), r"metric 'norms' must .* found \[5\]"),
    ],
)
def test_a_direction_that_is_none_is_named_with_its_class(answer, found):
    with pytest.raises(UsageError, match=f"^Directs: .*{found}"):
        Directs(3, answer=answer)(torch.randn(3, 5), torch.ones(3))


@pytest.mark.parametrize("inner", [CAGrad, partial(CAGrad, c=0.9), CAGrad(3, c=0.9)])
def test_wrappers_take_instances_and_what_makes_them(inner):
    assert GradientTracking(inner, num_tasks=3).num_tasks == 3


class Momentum(Aggregator):
    """A user's own method with a state as large as the gradients."""

    keeps_task_state = True
    empty = staticmethod(lambda num_tasks: torch.zeros(num_tasks, 0))

    def __init__(self, num_tasks):
        super().__init__(num_tasks)
        self.register_buffer("average", self.empty(num_tasks))

    def aggregate(self, gradients, losses, shares):
        if self.average is None or self.average.shape != gradients.shape:
            self.average = torch.zeros_like(gradients)
        self.average.lerp_(gradients, (0.5 * (shares > 0))[:, None].to(gradients.dtype))
        return Direction(shares.to(gradients.dtype) @ self.average, None, {})


class Unregistered(Momentum):
    empty = staticmethod(lambda num_tasks: None)


class Broadcast(Momentum):
    empty = staticmethod(lambda num_tasks: torch.zeros(num_tasks, 1))


@pytest.mark.parametrize("wrap", [lambda inner: inner, lambda inner: GradientTracking(inner, beta=0.5)])
@pytest.mark.parametrize("kind", [Momentum, Unregistered, Broadcast])
def test_a_method_of_ones_own_with_a_row_for_each_task_is_resumed(kind, wrap):
    first, resumed = wrap(kind(3)), wrap(kind(3))
    gradients = torch.randn(3, 5)
    first(gradients, torch.ones(3))
    resumed.load_state_dict(first.state_dict())
    expected = first(-gradients, torch.ones(3)).vector
    assert torch.equal(resumed(-gradients, torch.ones(3)).vector, expected)
    with pytest.raises(UsageError, match=r"does not fit num_tasks = 4|the state must have the entries"):
        wrap(kind(4)).load_state_dict(first.state_dict())


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
