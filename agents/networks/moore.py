"""Implements MOORE, a mixture of experts whose representations are orthogonal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtrl.agents.networks.layers import Layers, Sizes, require_count, require_widths
from mtrl.errors import require
from mtrl.gradients.flat_module import PerTask

MIN_LENGTH = 1e-6  # a representation shorter than this fades to zero
MIN_NEW_SHARE = 1e-3  # so does one of which a smaller share is not in the span of the earlier ones


class MOORE(nn.Module):
    """Mixture of orthogonal experts (Hendawy et al., ICLR 2024).

    ``experts`` networks without an activation at their end map the input to representations u_1 ... u_n [D];
    Gram-Schmidt makes them orthonormal for each sample, V [n, D]; the task sees tanh(w_kᵀ V)
    through a linear head of its own. w_k and the head belong to task k; in the paper w_k is a linear function
    of the one-hot, the same thing. The paper has experts of 3 x 400, 4 of them on MT10 and 6 on MT50; tanh is
    what the authors' runs on Meta-World use.

    Deviation: Gram-Schmidt is repeated and softened, see :func:`orthonormal`.

    Args:
        sizes: of inputs and outputs.
        layers: makes the layers.
        hidden: widths of an expert's layers; the last is D.
        experts: n, at most D.
    """

    def __init__(self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int], experts: int) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        require_count("experts", experts)
        width = hidden[-1]
        require(
            experts <= width,
            f"experts must be at most the last of hidden, {width}, since no more vectors of that size can be "
            f"orthogonal; found {experts}",
        )
        self.representations = layers.bank_mlp(experts, sizes.inputs, hidden[:-1], width)
        self.weights = PerTask(layers.vector(experts) for _ in sizes.task_names)
        self.head = PerTask(layers.linear(width, sizes.outputs) for _ in sizes.task_names)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for inputs [B, ...]."""
        basis = orthonormal(self.representations(torch.cat(inputs, dim=-1)))  # [n, B, D]
        return self.head(torch.einsum("n,nbd->bd", self.weights(), basis).tanh())


def orthonormal(vectors: Tensor) -> Tensor:
    """Gram-Schmidt over the first dimension of [n, B, D], for each sample by itself.

    Each vector is brought to length 1 and loses its parts along the earlier ones, twice: once leaves rounding
    errors in float32 where vectors are nearly parallel. What remains, r, becomes r / √(‖r‖² + ε²) with
    ε = 1e-3. A vector in the span of those before it so fades to zero, with finite gradients, where r / ‖r‖
    would blow up rounding errors; at ‖r‖ = 0.1 the length is 1 within 5e-5.
    """
    basis: list[Tensor] = []
    for vector in vectors.unbind(0):
        rest = _unit(vector, MIN_LENGTH)
        if basis:
            earlier = torch.stack(basis)  # [i, B, D]
            for _ in range(2):
                rest = rest - ((earlier * rest).sum(-1, keepdim=True) * earlier).sum(0)
        basis.append(_unit(rest, MIN_NEW_SHARE))
    return torch.stack(basis)


def _unit(vector: Tensor, epsilon: float) -> Tensor:
    return vector * (vector.square().sum(-1, keepdim=True) + epsilon**2).rsqrt()
