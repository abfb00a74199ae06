"""Keeps the gradients of K tasks as the factors that layers make them of, instead of as rows [K, P]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtrl.aggregators.matrix import gradient_norms, gram_matrix, precise
from mtrl.gradients.taps import WatchableLayer

BLOCK = 2**24  # entries of rows that exist at once


class Layer(NamedTuple):
    """Holds the factors of one weight's gradients: the inputs of N linear maps, and their outputs' gradients.

    N is 1 but for a bank. Uses of a layer stand one behind the other along B. The gradients of the bias, the
    sums of the slopes, are among the rows of :class:`LayerGradients`.
    """

    names: WatchableLayer  # of the parameters
    inputs: Tensor  # [K, N, B, in]
    slopes: Tensor  # [K, N, B, out]

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        """Task k's gradient is, for each map, the first's transpose times the second: [K, N, B, I or J]."""
        return (self.inputs, self.slopes) if self.names.is_bank else (self.slopes, self.inputs)

    def gram(self) -> Tensor:
        """The inner products of the K gradients, float64 [K, K], in the cheaper of two ways."""
        left, right = self.factors
        tasks, maps, samples, wide = left.shape
        if pairs_are_cheaper(tasks * samples, wide, right.shape[3]):
            return products_of_pairs(left, right)
        blocks = torch.split(right, max(1, BLOCK // (tasks * maps * wide)), dim=3)
        return torch.stack(
            [gram_matrix(product(left.transpose(2, 3), block).flatten(1)) for block in blocks]
        ).sum(0)

    def squares(self) -> Tensor:
        """The squared norms of the K gradients, float64 [K]."""
        left, right = precise(self.inputs), precise(self.slopes)
        products = (left @ left.transpose(2, 3)) * (right @ right.transpose(2, 3))  # [K, N, B, B]
        return products.sum((1, 2, 3), dtype=torch.float64).clamp(min=0)

    def combine(self, weights: Tensor, place: Tensor | None = None) -> Tensor:
        """``weights`` [K] times the gradients, [N I J], written into ``place`` if there is one."""
        left, right = self.factors
        left = left * weights.to(left.dtype)[:, None, None, None]
        # Only a task of weight zero has anything that is not finite, and zero times that is not zero.
        left = stacked(left.nan_to_num_(nan=0, posinf=0, neginf=0)).transpose(-1, -2)
        right = stacked(right.nan_to_num(nan=0, posinf=0, neginf=0))
        if place is None:
            return product(left, right).flatten()
        if left.dtype != place.dtype:
            return place.copy_(product(left, right).flatten())
        torch.matmul(left, right, out=place.view(*left.shape[:-1], right.shape[-1]))
        return place

    def rows(self) -> Tensor:
        """The K gradients, [K, N I J]."""
        left, right = self.factors
        return product(left.transpose(2, 3), right).flatten(1)

    def total(self) -> Tensor:
        """The sum of the K gradients, [1, N I J]; not finite if one of them is not."""
        left, right = (stacked(factor) for factor in self.factors)
        return product(left.transpose(-1, -2), right).view(1, -1)


class LayerGradients(NamedTuple):
    """Stands for a matrix of gradients [K, P] that is never formed."""

    layers: tuple[Layer, ...]
    names: tuple[str, ...]  # of the parameters that have rows: all but the layers' weights
    rows: Tensor  # [K, R], of one after another
    shapes: dict[str, torch.Size]  # of all parameters, in order

    @property
    def shape(self) -> torch.Size:
        """[K, P]."""
        return torch.Size((len(self.rows), sum(shape.numel() for shape in self.shapes.values())))

    @property
    def dtype(self) -> torch.dtype:
        return self.rows.dtype

    def gram(self) -> Tensor:
        """The inner products of the K gradients, float64 [K, K]."""
        return torch.stack([gram_matrix(self.rows), *(layer.gram() for layer in self.layers)]).sum(0)

    def norms(self) -> Tensor:
        """The norms of the K gradients, float64 [K]."""
        squares = [gradient_norms(self.rows).square(), *(layer.squares() for layer in self.layers)]
        return torch.stack(squares).sum(0).sqrt()

    def bounds(self) -> Tensor:
        """Numbers [K], not finite where a gradient is not or may have a norm that overflows."""
        # The gradient of a bias, a sum of the slopes, is among the rows and finite only if these are.
        slopes = [self.rows, *(layer.slopes.flatten(1) for layer in self.layers if not layer.names.bias)]
        inputs = [layer.inputs.flatten(1) for layer in self.layers]
        left, right = (
            torch.stack([torch.linalg.vector_norm(one, dim=1) for one in factors]).sum(0)
            for factors in (slopes, inputs)
        )
        return left * (1 + right)

    def combine(self, weights: Tensor, usable: Tensor) -> Tensor:
        """``weights`` [K] times the gradients of the ``usable`` [K], whatever the others contain, [P]."""
        sizes = [self.shapes[name].numel() for name in self.names]
        weights = torch.where(usable, weights, 0).to(self.rows.dtype)
        summed = (torch.where(usable[:, None], self.rows, 0) * weights[:, None]).sum(0)  # [R]
        parts = dict(zip(self.names, torch.split(summed, sizes) if sizes else (), strict=True))
        layers = {layer.names.weight: layer for layer in self.layers}
        if torch.compiler.is_compiling():  # which writes each part where it belongs
            parts |= {name: layer.combine(weights) for name, layer in layers.items()}
            return torch.cat([parts[name] for name in self.shapes])
        # Before they are joined, all parts at once would take the memory of two.
        vector = self.rows.new_empty(self.shape[1])
        split = torch.split(vector, [shape.numel() for shape in self.shapes.values()])
        places = dict(zip(self.shapes, split, strict=True))
        for name, layer in layers.items():
            layer.combine(weights, places[name])
        torch._foreach_copy_([places[name] for name in parts], list(parts.values()))
        return vector

    def matrix(self) -> Tensor:
        """Form the matrix [K, P]."""
        return self._joined(self.rows, [layer.rows() for layer in self.layers])

    def mean(self) -> Tensor:
        """The mean of the K gradients, [1, P]; not finite if one of them is not."""
        totals = [layer.total() for layer in self.layers]
        return self._joined(self.rows.sum(0, keepdim=True), totals) / len(self.rows)

    def some(self, tasks: slice) -> LayerGradients:
        """The gradients of some of the tasks."""
        layers = (Layer(layer.names, layer.inputs[tasks], layer.slopes[tasks]) for layer in self.layers)
        return self._replace(layers=tuple(layers), rows=self.rows[tasks])

    def _joined(self, rows: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Put ``rows`` [N, R] and those of the layers' weights in the parameters' order, [N, P]."""
        sizes = [self.shapes[name].numel() for name in self.names]
        parts = dict(zip(self.names, torch.split(rows, sizes, dim=1) if sizes else (), strict=True))
        parts |= {layer.names.weight: row for layer, row in zip(self.layers, weights, strict=True)}
        return torch.cat([parts[name] for name in self.shapes], dim=1)


def pairs_are_cheaper(samples: int, wide: int, high: int) -> bool:
    """Whether a layer's Gram matrix costs less by pairs of all ``samples`` than by the tasks' rows."""
    return samples * (wide + high) < wide * high


def products_of_pairs(left: Tensor, right: Tensor) -> Tensor:
    """Σ_ab ⟨x_ia, x_jb⟩ ⟨d_ia, d_jb⟩ over the samples a and b, of factors [K, N, B, I or J]; float64."""
    tasks, _, samples, _ = left.shape
    left, right = precise(stacked(left)), precise(stacked(right))
    products = (left @ left.transpose(-1, -2)).mul_(right @ right.transpose(-1, -2))  # [..., K B, K B]
    return products.view(-1, tasks, samples, tasks, samples).sum((0, 2, 4), dtype=torch.float64)


def stacked(values: Tensor) -> Tensor:
    """The factors [K, N, B, I] of all samples, [N, K B, I], or [K B, I] for N = 1."""
    if values.shape[1] == 1:
        return values.flatten(0, 2)
    return values.transpose(0, 1).flatten(1, 2)


def product(left: Tensor, right: Tensor) -> Tensor:
    """A matrix product whose result is float32 or better."""
    if left.dtype in (torch.float32, torch.float64):
        return left @ right
    if left.is_cuda and left.ndim == 2:
        return torch.mm(left, right, out_dtype=torch.float32)
    return left.float() @ right.float()
