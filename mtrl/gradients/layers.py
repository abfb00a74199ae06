"""Keeps the gradients of K tasks as the factors of which linear layers make them, instead of as rows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mtrl.aggregators.base import combine, gradient_norms, gram_matrix, precise

BLOCK = 2**24  # entries of rows that exist at once


class Layer(NamedTuple):
    """Holds what makes the gradient of one linear layer: task k's is outputs[k]ᵀ inputs[k]."""

    inputs: Tensor  # [K, B, in]
    outputs: Tensor  # [K, B, out], the gradients of the layer's outputs
    names: tuple[str, ...]  # of weight and bias, or of the weight alone

    def gram(self) -> Tensor:
        """The part of the Gram matrix that comes from this layer, float64 [K, K]."""
        tasks, samples, wide = self.inputs.shape
        high = self.outputs.shape[2]
        if tasks * samples * (wide + high) < wide * high:
            return self._gram_of_pairs()
        gram = gram_matrix(self.outputs.sum(1)) if len(self.names) > 1 else None
        step = max(1, BLOCK // (tasks * wide))
        for outputs in torch.split(self.outputs, step, dim=2):
            part = gram_matrix(product(outputs.transpose(1, 2), self.inputs).flatten(1))
            gram = part if gram is None else gram + part
        assert gram is not None
        return gram

    def _gram_of_pairs(self) -> Tensor:
        """Σ_ab ⟨x_ia, x_jb⟩ ⟨d_ia, d_jb⟩ over the samples a and b: no matrix of the weight's size."""
        inputs, outputs = (precise(factor.flatten(0, 1)) for factor in (self.inputs, self.outputs))
        products = inputs @ inputs.T  # [K B, K B]
        if len(self.names) > 1:
            products += 1  # a bias is the weight of an input of one
        products *= outputs @ outputs.T
        tasks, samples = self.inputs.shape[:2]
        return products.view(tasks, samples, tasks, samples).sum((1, 3), dtype=torch.float64)

    def squares(self) -> Tensor:
        """The squared norms of the K gradients, float64 [K]."""
        inputs, outputs = precise(self.inputs), precise(self.outputs)
        products = inputs @ inputs.transpose(1, 2)  # [K, B, B]
        if len(self.names) > 1:
            products += 1
        products *= outputs @ outputs.transpose(1, 2)
        return products.sum((1, 2), dtype=torch.float64).clamp(min=0)

    def combine(self, weights: Tensor, usable: Tensor) -> list[Tensor]:
        """The parameters' parts of the direction ``weights`` [K] over the ``usable``, one for each name."""
        fine = usable[:, None, None]
        scaled = self.outputs * weights[:, None, None].to(self.outputs.dtype)
        scaled = torch.where(fine, scaled, 0).flatten(0, 1)  # [K B, out]
        inputs = torch.where(fine, self.inputs, 0).flatten(0, 1)  # [K B, in]
        parts = [product(scaled.T, inputs).flatten()]
        if len(self.names) > 1:
            parts.append(scaled.sum(0, dtype=parts[0].dtype))
        return parts

    def rows(self) -> list[Tensor]:
        """The K gradients [K, ...] of each parameter."""
        parts = [product(self.outputs.transpose(1, 2), self.inputs).flatten(1)]
        if len(self.names) > 1:
            parts.append(self.outputs.sum(1, dtype=parts[0].dtype))
        return parts


class LayerGradients(NamedTuple):
    """Stands for a matrix of gradients [K, P] that is never formed."""

    layers: tuple[Layer, ...]
    rest: Tensor  # [K, R], the rows of all other parameters
    bounds: Tensor  # [K], the norms are at most as large
    shapes: dict[str, torch.Size]  # of all parameters, in order

    @property
    def shape(self) -> torch.Size:
        """[K, P]."""
        return torch.Size((len(self.rest), sum(shape.numel() for shape in self.shapes.values())))

    @property
    def dtype(self) -> torch.dtype:
        return self.rest.dtype

    def is_floating_point(self) -> bool:
        return True

    def gram(self) -> Tensor:
        """The inner products of the K gradients, float64 [K, K]."""
        gram = gram_matrix(self.rest)
        for layer in self.layers:
            gram = gram + layer.gram()
        return gram

    def norms(self) -> Tensor:
        """The norms of the K gradients, float64 [K]."""
        squares = gradient_norms(self.rest).square()
        for layer in self.layers:
            squares = squares + layer.squares()
        return squares.sqrt()

    def combine(self, weights: Tensor, usable: Tensor) -> Tensor:
        """``weights`` [K] times the gradients of the ``usable`` [K], whatever the others contain, [P]."""
        parts = self._parts(combine(weights, self.rest, usable)[None])
        for layer in self.layers:
            found = layer.combine(weights, usable)
            parts |= {name: part[None] for name, part in zip(layer.names, found, strict=True)}
        return torch.cat([parts[name] for name in self.shapes], dim=1)[0]

    def rows(self) -> Tensor:
        """The matrix [K, P]."""
        parts = self._parts(self.rest)
        for layer in self.layers:
            parts |= dict(zip(layer.names, layer.rows(), strict=True))
        return torch.cat([parts[name] for name in self.shapes], dim=1)

    def _parts(self, rest: Tensor) -> dict[str, Tensor]:
        """The columns of ``rest`` [N, R] by the name of their parameter."""
        taken = {name for layer in self.layers for name in layer.names}
        names = [name for name in self.shapes if name not in taken]
        sizes = [self.shapes[name].numel() for name in names]
        return dict(zip(names, torch.split(rest, sizes, dim=1), strict=True)) if names else {}


def product(left: Tensor, right: Tensor) -> Tensor:
    """A matrix product whose result is float32 or better."""
    if left.dtype in (torch.float32, torch.float64):
        return left @ right
    if left.is_cuda:
        multiply = torch.mm if left.ndim == 2 else torch.bmm
        return multiply(left, right, out_dtype=torch.float32)
    return left.float() @ right.float()
