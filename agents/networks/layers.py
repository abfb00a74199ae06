"""Builds the parts that networks are made of: sizes and initialised layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mtrl.errors import require
from mtrl.gradients.taps import Watchable
from mtrl.validation import require_integer

MAX_LAYERS = 100
MAX_WIDTH = 16_384  # four times the widest in the papers; such a layer has 1 GB
MAX_PARTS = 100  # layers, modules, experts ... of a network
SQRT2 = math.sqrt(2)  # the usual gain before a ReLU; facebookresearch/mtrl draws Xavier-uniform weights


class Sizes(NamedTuple):
    """The sizes of what goes into a network and comes out of it."""

    task_names: tuple[str, ...]
    inputs: int
    outputs: int
    actions: int = 0  # how many of the inputs are actions, the last ones: A for critics

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
        """Make a linear layer with orthogonal weights and zero biases."""
        linear = nn.Linear(inputs, outputs, device="meta").to_empty(device=self.device)
        nn.init.orthogonal_(linear.weight, gain, generator=self.generator)
        nn.init.zeros_(linear.bias)
        return linear

    def hidden(self, inputs: int, width: int) -> list[nn.Module]:
        """Make a linear layer with gain √2, and its ReLU."""
        return [self.linear(inputs, width, gain=SQRT2), *self.activation(width)]

    def activation(self, width: int) -> list[nn.Module]:
        """Make what follows a hidden layer: its norm, where layers are normalised, and a ReLU."""
        norm = [nn.LayerNorm(width, device=self.device)] if self.layer_norm else []
        return [*norm, nn.ReLU()]

    def trunk(self, inputs: int, hidden: Sequence[int]) -> nn.Sequential:
        """Make hidden layers of the widths ``hidden``, each with its ReLU."""
        pairs = pairwise((inputs, *hidden))
        return nn.Sequential(*(layer for pair in pairs for layer in self.hidden(*pair)))

    def mlp(self, inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
        """Make a ReLU network."""
        return nn.Sequential(*self.trunk(inputs, hidden), self.linear((inputs, *hidden)[-1], outputs))

    def bank(self, count: int, inputs: int, outputs: int, *, gain: float = 1.0) -> Bank:
        """Make ``count`` linear layers side by side, each initialised by itself."""
        return Bank([self.linear(inputs, outputs, gain=gain) for _ in range(count)])

    def bank_mlp(self, count: int, inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
        """Make ``count`` ReLU networks side by side; they share the norms of hidden layers, if any."""
        layers: list[nn.Module] = []
        for before, width in pairwise((inputs, *hidden)):
            layers += [self.bank(count, before, width, gain=SQRT2), *self.activation(width)]
        return nn.Sequential(*layers, self.bank(count, (inputs, *hidden)[-1], outputs))

    def vector(self, size: int, *, mean: float = 0.0, std: float = 1.0) -> Vector:
        """Make a learned vector with normal entries."""
        value = torch.empty(size, device=self.device)
        return Vector(nn.init.normal_(value, mean, std, generator=self.generator))


class Bank(Watchable):
    """Computes n linear layers of one shape as one batched product.

    Args:
        linears: the layers that give the initial weights.
    """

    is_bank = True
    tape = None

    def __init__(self, linears: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([one.weight.detach().T for one in linears]))  # [n, I, O]
        self.bias = nn.Parameter(torch.stack([one.bias.detach() for one in linears]))  # [n, O]

    def forward(self, inputs: Tensor, weights: Tensor | None = None) -> Tensor:
        """Outputs [n, B, O] for inputs [B, I] that all of them see, or [n, B, I], one for each.

        With ``weights`` [n], the outputs [B, O] of the one layer Σ_i weights_i layer_i for inputs [B, I].
        """
        is_watched = self.tape is not None and self.place in self.tape.weights
        if weights is None:
            if is_watched:
                return self.watched(inputs)
            return inputs @ self.weight + self.bias[:, None]
        if is_watched:
            self.mixed()
        return inputs @ torch.einsum("n,nio->io", weights, self.weight) + weights @ self.bias


class Vector(nn.Module):
    """A learned vector."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = nn.Parameter(value)

    def forward(self) -> Tensor:
        """The vector, as it is."""
        return self.value


Build = Callable[[Sizes, Layers], nn.Module]
"""Makes the network of one task: ``forward(task [K] one-hot, *inputs [B, ...]) -> [B, outputs]``.

A class of :mod:`mtrl.agents.networks` with its options bound is one. Parts that belong to a task are
wrapped in :class:`mtrl.gradients.flat_module.PerTask`.
"""


def require_widths(name: str, widths: Sequence[int]) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless there is at least one layer width, and none too large."""
    valid = isinstance(widths, Sequence) and not isinstance(widths, str) and 1 <= len(widths) <= MAX_LAYERS
    require(valid, f"{name} must list at least one and at most {MAX_LAYERS} layer widths, found {widths!r}")
    for width in widths:
        require_integer(f"each width of {name}", width, 1, MAX_WIDTH)


def require_count(name: str, value: object, maximum: int = MAX_PARTS) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless ``value`` is a positive integer, at most ``maximum``."""
    require_integer(name, value, 1, maximum)
