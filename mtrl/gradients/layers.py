"""Keeps the gradients of K tasks as what their layers saw, so that most uses need no [K, P] matrix.

The gradient of a linear layer's weight is a product: Dᵀ X, of the loss's slopes D in the layer's outputs
and of its inputs X. Both are at hand after one backward pass that computes no gradient of a weight. A
weighted sum of the tasks' gradients is then one product of the stacked D and X, what a backward pass of
the weighted loss would compute, and inner products need one layer's rows at a time, or none.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mtrl.aggregators.base import gram_matrix, precise

BLOCK = 2**24  # entries of the rows that exist at a time


class Layer(NamedTuple):
    """What one linear layer saw of the tasks' S samples, and where its parameters are in the flat vector."""

    inputs: Tensor  # [K, S, I]
    slopes: Tensor  # [K, S, O], of the task's loss in the layer's outputs
    weight: int  # the place of the first of its O I weights
    bias: int | None  # and of the first of its O biases


class LayerGradients(NamedTuple):
    """Stands for a [K, P] matrix of gradients: linear layers' by their factors, all others' as rows."""

    layers: tuple[Layer, ...]
    rest: Tensor  # [K, R], of the parameters outside of those layers
    places: tuple[tuple[int, int], ...]  # where these begin and end in the flat vector
    size: int  # P

    @property
    def shape(self) -> tuple[int, int]:
        """K and P."""
        return len(self.rest), self.size

    @property
    def dtype(self) -> torch.dtype:
        """The type of the gradients."""
        return self.rest.dtype

    def finite(self) -> Tensor:
        """Say whose gradients are finite, [K]; one whose entries might overflow counts as not finite."""
        sizes = [self._small().abs().amax(1)]
        for inputs, slopes, *_ in self.layers:
            largest = inputs.abs().amax((1, 2)).to(slopes.dtype) * slopes.abs().amax((1, 2))
            sizes.append(largest * inputs.shape[1])
        return torch.stack(sizes).isfinite().all(0)

    def gram(self) -> Tensor:
        """Compute the inner products of the tasks' gradients, float64 [K, K], exactly."""
        total = gram_matrix(self._small())
        for layer in self.layers:
            total = total + _layer_gram(layer)
        return total

    def norms(self) -> Tensor:
        """Compute the norms of the tasks' gradients, float64 [K]."""
        squares = self._small().double().square().sum(1)
        for inputs, slopes, *_ in self.layers:
            samples, width, outputs = inputs.shape[1], inputs.shape[2], slopes.shape[2]
            if samples * (width + outputs) < width * outputs:
                seen, driven = precise(inputs), precise(slopes)
                products = (seen @ seen.mT) * (driven @ driven.mT)  # [K, S, S]
                squares = squares + products.double().sum((1, 2))
            else:
                rows = slopes.mT @ inputs.to(slopes.dtype)  # [K, O, I]
                squares = squares + torch.linalg.vector_norm(rows, dim=(1, 2)).double().square()
        return squares.sqrt()

    def combine(self, weights: Tensor, usable: Tensor) -> Tensor:
        """Sum the gradients of the ``usable`` [K] by ``weights`` [K], whatever the others contain: [P]."""
        keep, scale = usable[:, None, None], weights[:, None, None]
        parts = {}
        for inputs, slopes, weight, bias in self.layers:
            scaled = torch.where(keep, slopes * scale.to(slopes.dtype), 0)  # [K, S, O]
            seen = torch.where(keep, inputs, 0).flatten(0, 1)  # [K S, I]
            product = scaled.flatten(0, 1).T.to(seen.dtype) @ seen  # [O, I]
            parts[weight] = product.flatten().to(slopes.dtype)
            if bias is not None:
                parts[bias] = scaled.sum((0, 1))
        rest = (torch.where(usable[:, None], self.rest, 0) * weights[:, None].to(self.rest.dtype)).sum(0)
        first = 0
        for start, stop in self.places:
            parts[start] = rest[first : first + stop - start]
            first += stop - start
        return torch.cat([parts[place] for place in sorted(parts)])

    def along(self, vector: Tensor) -> Tensor:
        """Compute the inner product of every gradient with ``vector`` [P]: [K]."""
        rest = torch.cat([vector[:0], *(vector[start:stop] for start, stop in self.places)])
        total = self.rest @ rest
        for inputs, slopes, weight, bias in self.layers:
            width, outputs = inputs.shape[2], slopes.shape[2]
            matrix = vector[weight : weight + outputs * width].view(outputs, width)
            moved = inputs.to(vector.dtype) @ matrix.T  # [K, S, O]
            if bias is not None:
                moved = moved + vector[bias : bias + outputs]
            total = total + (moved * slopes).sum((1, 2))
        return total

    def rows(self) -> Tensor:
        """Write the matrix out, [K, P]."""
        one = torch.ones((), dtype=self.rest.dtype, device=self.rest.device)
        every = torch.ones(1, dtype=torch.bool, device=self.rest.device)
        return torch.stack([self._of(task).combine(one[None], every) for task in range(len(self.rest))])

    def _of(self, task: int) -> LayerGradients:
        one = slice(task, task + 1)
        layers = (Layer(layer.inputs[one], layer.slopes[one], *layer[2:]) for layer in self.layers)
        return LayerGradients(tuple(layers), self.rest[one], self.places, self.size)

    def _small(self) -> Tensor:
        """Gather the gradients that are rows anyway, [K, R + all O]: those of biases are sums of slopes."""
        biases = (layer.slopes.sum(1) for layer in self.layers if layer.bias is not None)
        return torch.cat([self.rest, *biases], dim=1)


def _layer_gram(layer: Layer) -> Tensor:
    """Compute the inner products of the gradients of one layer's weights, float64 [K, K]."""
    inputs, slopes = layer.inputs, layer.slopes
    (num, samples, width), outputs = inputs.shape, slopes.shape[2]
    if num * samples**2 * (width + outputs) < width * outputs * (samples + num):
        seen, driven = (precise(factor.flatten(0, 1)) for factor in (inputs, slopes))  # [K S, I], [K S, O]
        products = (seen @ seen.T) * (driven @ driven.T)  # [K S, K S]
        return products.view(num, samples, num, samples).double().sum((1, 3))
    total = torch.zeros(num, num, dtype=torch.float64, device=slopes.device)
    for part in torch.split(slopes, max(1, BLOCK // (num * width)), dim=2):
        rows = part.mT @ inputs.to(part.dtype)  # [K, o, I]
        total = total + gram_matrix(rows.flatten(1))
    return total
