"""Lets one pass through a network show, of each linear layer, its inputs and a place to differentiate at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

Weights = dict[str, tuple[Tensor, Tensor | None]]  # weight and bias of linear layers, by place


class Seen(NamedTuple):
    """Holds one use of a layer: what went in, and what came out before the tap."""

    place: str  # the layer's name in the network
    inputs: Tensor  # [..., in]
    outputs: Tensor  # [..., out]


@dataclass(frozen=True)
class Tapped:
    """Stands for a network's shared parameters where linear layers are watched instead of differentiated.

    Only :meth:`~mtrl.gradients.flat_module.FlatModule.apply_with` opens it. The weights of ``layers`` are
    constants. To the outputs of their uses, in the order of the pass, it adds one of ``taps`` each: zeros
    whose gradient is that of the outputs.
    """

    shared: Tensor  # [P], constants
    rest: Tensor  # [R], the parameters of all else
    layers: tuple[str, ...]
    taps: tuple[Tensor, ...] | None  # None only looks at the uses
    seen: list[Seen] = field(default_factory=list)  # filled by the pass

    def linear(self, place: str, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute a watched layer."""
        outputs = F.linear(inputs, weight, bias)
        use = len(self.seen)
        self.seen.append(Seen(place, inputs, outputs))
        return outputs if self.taps is None else outputs + self.taps[use]


class Tape:
    """Says to the linear layers of one network, during one pass, who watches them."""

    def __init__(self) -> None:
        self.watcher: Tapped | None = None
        self.weights: Weights = {}


class WatchableLinear(nn.Linear):
    """Computes a linear layer, through the tape's watcher if there is one."""

    tape: Tape
    place: str

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs [..., out] for inputs [..., in]."""
        if self.tape.watcher is None or self.place not in self.tape.weights:
            return F.linear(inputs, self.weight, self.bias)
        return self.tape.watcher.linear(self.place, inputs, *self.tape.weights[self.place])


def make_watchable(module: nn.Module, excluded: set[int]) -> tuple[Tape, dict[str, WatchableLinear]]:
    """Turn the linear layers of ``module`` in place, but for those with a parameter whose id is excluded.

    Layers of other types, subclasses of a linear layer among them, stay as they are.
    """
    tape, found = Tape(), {}
    for place, layer in module.named_modules():
        if type(layer) is nn.Linear and id(layer.weight) not in excluded:
            layer.__class__ = WatchableLinear
            assert isinstance(layer, WatchableLinear)
            layer.tape, layer.place = tape, place
            found[place] = layer
    return tape, found
