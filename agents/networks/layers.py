"""What every network is made of: sizes, initialised layers, twins."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtrl.errors import require

SQRT2 = math.sqrt(2)  # the gain of weights whose outputs pass a ReLU, as in the papers' code base


class Sizes(NamedTuple):
    """What goes into a network and comes out of it."""

    task_names: tuple[str, ...]
    obs: int
    action: int  # 0 for an actor
    outputs: int

    @property
    def inputs(self) -> int:
        return self.obs + self.action

    @property
    def num_tasks(self) -> int:
        return len(self.task_names)


@dataclass(frozen=True)
class Layers:
    """Makes layers where the run's parameters live, from the run's generator.

    Args:
        device: where the parameters are born.
        generator: source of the initial weights, on ``device``.
        layer_norm: normalise hidden layers before their ReLU.
    """

    device: torch.device
    generator: torch.Generator | None
    layer_norm: bool = False

    def linear(self, inputs: int, outputs: int, *, gain: float = 1.0) -> nn.Linear:
        """A linear layer with orthogonal weights and zero biases."""
        linear = nn.Linear(inputs, outputs, device="meta").to_empty(device=self.device)
        nn.init.orthogonal_(linear.weight, gain, generator=self.generator)
        nn.init.zeros_(linear.bias)
        return linear

    def hidden(self, inputs: int, width: int) -> list[nn.Module]:
        """A linear layer, what normalises it, and its ReLU."""
        norm = [self.norm(width)] if self.layer_norm else []
        return [self.linear(inputs, width, gain=SQRT2), *norm, nn.ReLU()]

    def norm(self, width: int) -> nn.Module:
        """What stands between a hidden layer and its ReLU."""
        return nn.LayerNorm(width, device=self.device) if self.layer_norm else nn.Identity()

    def stack(self, count: int, inputs: int, outputs: int, *, gain: float = 1.0) -> Stack:
        """``count`` linear layers of one shape, each with its own weights."""
        return Stack([self.linear(inputs, outputs, gain=gain) for _ in range(count)])

    def trunk(self, inputs: int, hidden: Sequence[int]) -> nn.Sequential:
        """Hidden layers of the widths ``hidden``, each with its ReLU."""
        pairs = pairwise((inputs, *hidden))
        return nn.Sequential(*(layer for pair in pairs for layer in self.hidden(*pair)))

    def mlp(self, inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
        """A ReLU network."""
        return nn.Sequential(*self.trunk(inputs, hidden), self.linear((inputs, *hidden)[-1], outputs))

    def vector(self, size: int, *, mean: float = 0.0, std: float = 1.0) -> Vector:
        """A learned vector with normal entries."""
        value = torch.empty(size, device=self.device)
        return Vector(nn.init.normal_(value, mean, std, generator=self.generator))


class Vector(nn.Module):
    """A learned vector."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = nn.Parameter(value)

    def forward(self) -> Tensor:
        """The vector, as it is."""
        return self.value


class Stack(nn.Module):
    """n linear layers of one shape, applied in one batched product."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))  # [n, out, in]
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))  # [n, out]

    def forward(self, rows: Tensor, weights: Tensor | None = None) -> Tensor:
        """Outputs [n, B, out] of rows [n, B, in], or of the same rows [B, in] for all n.

        With ``weights`` [n], the outputs [B, out] of the one layer Σ_i weights_i layer_i for rows [B, in].
        """
        if weights is None:
            return rows @ self.weight.mT + self.bias[:, None]
        return rows @ torch.einsum("n,noi->io", weights, self.weight) + weights @ self.bias


class Twin(nn.Module):
    """Two critics of the same shape and different initial weights."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, *inputs: Tensor) -> Tensor:
        """The outputs of both, [2, B, outputs]."""
        return torch.stack([self.first(*inputs), self.second(*inputs)])


Build = Callable[[Sizes, Layers], nn.Module]
"""Makes the network of one task: ``forward(task [K] one-hot, *inputs [B, ...]) -> [B, outputs]``.

A class of :mod:`agents.networks` with its options bound is one. Parts that belong to a task are wrapped in
:class:`mtrl.flat.PerTask`.
"""


def require_widths(name: str, widths: Sequence[int]) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless there is at least one positive layer width."""
    valid = len(widths) > 0 and all(isinstance(width, int) and width >= 1 for width in widths)
    require(valid, f"{name} must list at least one positive layer width, found {list(widths)}")


def require_count(name: str, value: object) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless ``value`` is a positive integer."""
    valid = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    require(valid, f"{name} must be a positive integer, found {value!r}")
