"""Lets a pass through a network show, of each layer, its inputs and a place to differentiate at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from mtrl.errors import require


class Use(NamedTuple):
    """Holds one use of a layer of n linear maps: n is 1 but for a bank of them."""

    place: str  # the layer's name in the network
    inputs: Tensor  # [n, B, in]
    shape: torch.Size  # of the outputs, [..., out]
    dtype: torch.dtype  # of the outputs


@dataclass(frozen=True)
class Tapped:
    """Stands for a network's shared parameters where layers are watched instead of differentiated.

    Only :meth:`~mtrl.gradients.flat_module.FlatModule.apply_with` opens it. The weights of ``layers`` are
    constants. To what they make of their inputs, at each use in the order of the pass, one of ``taps`` is
    added: the bias, once for each sample, whose gradient is that of the outputs.
    """

    shared: Tensor  # [P], constants
    rest: Tensor  # [R], the parameters of all else, one after another
    rest_names: tuple[str, ...]
    layers: Collection[str]
    taps: Sequence[Tensor] | None  # None only looks at the uses
    uses: list[Use] = field(default_factory=list)  # filled by the pass
    unwatchable: set[str] = field(default_factory=set)  # layers used in another way


class Tape:
    """Says to the layers of one network, during one pass, which of them are watched, and by whom."""

    def __init__(self) -> None:
        self.watcher: Tapped | None = None
        self.weights: dict[str, Tensor] = {}  # of the watched layers


class Watchable(nn.Module):
    """A layer that adds a bias to a product of inputs and weights, and may be watched.

    Its ``weight`` is [out, in], or that of n maps [n, in, out] where ``is_bank``; its ``bias`` is None, [out]
    or [n, out].
    """

    is_bank = False
    tape: Tape | None
    place: str

    def watched(self, inputs: Tensor) -> Tensor:
        """Outputs [..., out] for inputs [..., in] that the watcher keeps."""
        assert self.tape is not None
        assert self.tape.watcher is not None
        watcher, weight = self.tape.watcher, self.tape.weights[self.place]
        outputs = inputs @ (weight if self.is_bank else weight.T)
        if self.is_bank:
            inputs = inputs.expand(len(weight), *inputs.shape[-2:])  # [n, B, in]
        else:
            inputs = inputs.reshape(1, -1, inputs.shape[-1])
        number = len(watcher.uses)
        watcher.uses.append(Use(self.place, inputs, outputs.shape, outputs.dtype))
        if watcher.taps is not None:
            return outputs + watcher.taps[number]
        bias = self._parameters["bias"]
        if not isinstance(bias, Tensor):
            return outputs
        return outputs + (bias[:, None] if self.is_bank else bias)

    def mixed(self) -> None:
        """Say that this use of the parameters is not the product that could be watched."""
        assert self.tape is not None
        assert self.tape.watcher is not None
        require(
            self.tape.watcher.taps is None,
            f"network: {self.place!r} must be used as at the first pass, found that its parameters are read; "
            "choose gradients=rows",
        )
        self.tape.watcher.unwatchable.add(self.place)

    def __getattr__(self, name: str) -> Any:
        # A network that reads a layer's weight makes something else of it than the product.
        if name in ("weight", "bias") and self.tape is not None and self.place in self.tape.weights:
            self.mixed()
        return super().__getattr__(name)


class WatchableLinear(Watchable, nn.Linear):
    """Computes a linear layer that may be watched."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs [..., out] for inputs [..., in]."""
        if self.tape is None or self.place not in self.tape.weights:
            weight, bias = self._parameters["weight"], self._parameters["bias"]
            # For vectorised tasks F.linear also launches a product of the bias and one.
            outputs = inputs @ cast(Tensor, weight).T
            return outputs if bias is None else outputs + bias
        return self.watched(inputs)


class WatchableLayer(NamedTuple):
    """Says where the parameters of a layer are."""

    weight: str
    bias: str | None
    is_bank: bool


def make_watchable(module: nn.Module, excluded: set[int]) -> tuple[Tape, dict[str, WatchableLayer]]:
    """Let layers of ``module`` be watched, but for those with a parameter whose id is excluded.

    Plain linear layers change their type in place; subclasses stay as they are, unless they are
    :class:`Watchable`.
    """
    tape, found = Tape(), {}
    for place, layer in module.named_modules():
        if type(layer) is nn.Linear:
            layer.__class__ = WatchableLinear
        if isinstance(layer, Watchable):
            layer.tape, layer.place = None, place
            if not excluded & {id(layer.weight), id(layer.bias)}:
                layer.tape = tape
                weight, bias = (f"{place}.{name}".lstrip(".") for name in ("weight", "bias"))
                found[place] = WatchableLayer(weight, None if layer.bias is None else bias, layer.is_bank)
    return tape, found
