"""Follows several aggregators down a two-dimensional problem, from several starts at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from mtrl.aggregators import Aggregator, TorchJD

Directions = Callable[[Tensor, Tensor], Tensor]  # gradients [S, K, P], losses [S, K] -> [S, P]


class Objective(Protocol):
    """Computes the losses that are descended, with their gradients."""

    def __call__(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients [S, K, P] and losses [S, K] at ``points`` [S, P]; may draw noise."""


class Update(Protocol):
    """Moves points along their directions."""

    def __call__(self, points: Tensor, directions: Tensor) -> Tensor:
        """The next points [S, P]."""


class Adam:
    """Moves each coordinate of each point by Adam, as in the papers' toy runs."""

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.optimizer: torch.optim.Adam | None = None

    def __call__(self, points: Tensor, directions: Tensor) -> Tensor:
        if self.optimizer is None:
            self.optimizer = torch.optim.Adam([points.clone()], lr=self.learning_rate)
        parameter = self.optimizer.param_groups[0]["params"][0]
        parameter.grad = directions
        self.optimizer.step()
        return parameter


class ProjectedDescent:
    """Moves points by projected descent, x ← Π(x − rate k^(−1/2) d) at step k."""

    def __init__(self, rate: float, projection: Callable[[Tensor], Tensor]) -> None:
        self.rate = rate
        self.projection = projection
        self.step = 0

    def __call__(self, points: Tensor, directions: Tensor) -> Tensor:
        self.step += 1
        return self.projection(points - self.rate * self.step**-0.5 * directions)


@torch.no_grad()
def follow(
    methods: Mapping[str, Callable[[], Aggregator]],
    starts: Tensor,
    objective: Objective,
    update: Update,
    steps: int,
    every: int = 1,
) -> dict[str, Tensor]:
    """Record the points that each method visits from each of ``starts``.

    Every start of every method has a separate instance and state.

    Args:
        methods: makes an instance of each method, by name.
        starts: [S, P], float64.
        objective: is evaluated on the M·S points of all methods, those of a method together.
        update: moves the points; used for this call alone.
        steps: the number of steps.
        every: how many steps lie between two recorded points.

    Returns:
        For each name [1 + steps // every, S, P], the starts first.
    """
    count = len(starts)
    directions = [_together([build() for _ in starts]) for build in methods.values()]
    points = starts.repeat(len(methods), 1)  # [M·S, P]
    record = [points.clone()]
    for step in range(1, steps + 1):
        gradients, losses = objective(points)
        batches = zip(directions, torch.split(gradients, count), torch.split(losses, count), strict=True)
        points = update(points, torch.cat([method(*batch) for method, *batch in batches]))
        if step % every == 0:
            record.append(points.clone())
    split = torch.split(torch.stack(record), count, dim=1)
    return dict(zip(methods, split, strict=True))


class _Unchecked(nn.Module):
    """An aggregator without the masking of non-finite tasks: the landscapes are finite everywhere."""

    def __init__(self, inner: Aggregator) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, gradients: Tensor, losses: Tensor) -> Tensor:
        shares = torch.full_like(losses, 1 / len(losses))
        return self.inner.aggregate(gradients, losses, shares).vector


def _together(aggregators: Sequence[Aggregator]) -> Directions:
    """Combine several instances into one call, each on its own gradients.

    In the plane a call costs what launching its operations costs, so all starts share one launch.
    """
    modules = [_Unchecked(aggregator) for aggregator in aggregators]

    def one_by_one(gradients: Tensor, losses: Tensor) -> Tensor:
        return torch.stack([module(*one) for module, *one in zip(modules, gradients, losses, strict=True)])

    if isinstance(aggregators[0], TorchJD):
        return one_by_one  # its solvers may run on the host, which no batching crosses
    state: dict[str, Tensor] | None = None

    def call(state: dict[str, Tensor], gradients: Tensor, losses: Tensor) -> Tensor:
        return torch.func.functional_call(modules[0], state, (gradients, losses))

    batched = torch.func.vmap(call, randomness="different")

    def at_once(gradients: Tensor, losses: Tensor) -> Tensor:
        nonlocal state
        if state is None:  # the first call is where trackers learn the size of a gradient
            directions = one_by_one(gradients, losses)
            state = torch.func.stack_module_state(modules)[1]
            return directions
        with warnings.catch_warnings():
            # Some in-place operations are looped over by vmap, which is right, and here no slower.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            return batched(state, gradients, losses)

    return at_once
