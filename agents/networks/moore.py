"""A mixture of experts whose representations are orthogonal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agents.networks.layers import Layers, Sizes, require_count, require_widths
from mtrl.flat import PerTask

SMALLEST = 1e-6  # a representation shorter than this part of its expert's is left short, not blown up


class MOORE(nn.Module):
    """Mixture of orthogonal experts (Hendawy et al., ICLR 2024).

    ``experts`` networks map the input to representations u_1 ... u_n [D]; Gram-Schmidt makes them
    orthonormal for each sample, V (equation 4); the task's weights combine them, V w_k, and a ReLU and a
    linear head of the task follow. The paper used 4 experts on MT10 and 6 on MT50.

    w_k and the head belong to task k; in the paper w_k is a linear function of the one-hot, the same thing.
    """

    def __init__(self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int], experts: int) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        require_count("experts", experts)
        self.representations = layers.bank_mlp(experts, sizes.inputs, hidden[:-1], hidden[-1])
        self.weights = PerTask(layers.vector(experts) for _ in sizes.task_names)
        self.head = PerTask(layers.linear(hidden[-1], sizes.outputs) for _ in sizes.task_names)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for inputs [B, ...]."""
        basis = orthonormal(self.representations(torch.cat(inputs, dim=-1)))  # [n, B, D]
        # Unit vectors: scaled back to features of order one, which the head's initial weights expect.
        mixed = torch.einsum("n,nbd->bd", self.weights(), basis) * basis.shape[-1] ** 0.5
        return self.head(mixed.relu())


def orthonormal(vectors: Tensor) -> Tensor:
    """Gram-Schmidt over the first dimension of [n, B, D], each step on what the steps before have left.

    A vector in the span of those before it becomes (nearly) zero, with finite gradients.
    """
    basis: list[Tensor] = []
    for vector in vectors.unbind(0):
        floor = SMALLEST * (vector.square().sum(-1, keepdim=True) + SMALLEST)
        rest = vector
        for other in basis:
            rest = rest - (rest * other).sum(-1, keepdim=True) * other
        basis.append(rest * (rest.square().sum(-1, keepdim=True) + floor).rsqrt())
    return torch.stack(basis)
