"""Implements RotoGrad's rotations, which turn the tasks' feature gradients towards one another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from mtrl.agents.networks.own_objective import OwnObjective
from mtrl.errors import require


class RotatedHead(OwnObjective):
    """A linear head behind a rotation R_k of the shared features z: y = W R_k z + b.

    RotoGrad's "rotate only" (Javaloy and Valera, ICLR 2022). The head and the trunk learn from the task's
    loss, for which R_k is a constant. R_k learns to align the tasks: it minimises −⟨R_k v, g_k⟩, the
    negative cosine between the loss's gradient in the shared features, R_kᵀ g_k, and the mean direction v of
    these gradients over the tasks, both of length one; g_k is the gradient in the rotated features. It
    stays out of any aggregator. All R_k start as the identity.

    Deviations. In the paper all tasks see the same samples and v belongs to one sample; tasks of
    reinforcement learning each have their own samples, so g_k is summed over the task's samples. The sum
    needs no second pass: it is Wᵀ times the gradient of b. R_k is the Cayley transform of a skew-symmetric
    matrix instead of its exponential, which cannot be computed without waiting for the device; turns of
    180° are its limit. The paper gives rotations a separate optimiser, whose rate decays; here they
    take Adam's steps with everything else.

    The paper turns a part of the features where there are many, and so does ``size``: a task has
    size (size − 1)/2 parameters, and a forward pass solves K systems of that size. With K = 10, 128 samples
    per task and layers of 256, an update on one CPU thread took 1.7 times that of plain heads for a size
    of 64, and 9.6 times for 256.

    Args:
        head: from features to outputs.
        size: number of the first features that are turned.
    """

    def __init__(self, head: nn.Linear, size: int) -> None:
        super().__init__()
        require(
            isinstance(size, int) and not isinstance(size, bool) and 2 <= size <= head.in_features,
            f"rotation must be a number of features between 2 and the width of the last hidden layer, "
            f"{head.in_features}, or null for none, found {size!r}",
        )
        self.size = size
        self.head = head
        self.skew = nn.Parameter(head.weight.new_zeros(size * (size - 1) // 2))

    def forward(self, features: Tensor) -> Tensor:
        """Outputs [B, outputs] for features [B, F]."""
        turned = features[:, : self.size] @ rotation_matrix(self.skew.detach(), self.size).T
        return self.head(torch.cat([turned, features[:, self.size :]], dim=-1))

    def redirect(
        self, parameters: dict[str, Tensor], gradients: dict[str, Tensor], directions: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        skew = parameters["skew"]  # [K, size (size - 1)/2]
        slopes = torch.einsum("ko,kof->kf", gradients["head.bias"], parameters["head.weight"])
        slopes = unit(slopes[:, : self.size])  # [K, size], g_k
        rotations = vmap(rotation_matrix, in_dims=(0, None))(skew, self.size)  # [K, size, size]
        mean = unit(torch.einsum("kij,ki->kj", rotations, slopes).mean(0))  # [size], v

        def misalignment(skew: Tensor, slope: Tensor) -> Tensor:
            return -(rotation_matrix(skew, self.size) @ mean) @ slope

        return directions | {"skew": vmap(grad(misalignment))(skew, slopes)}


def rotation_matrix(skew: Tensor, size: int) -> Tensor:
    """(I + S)⁻¹ (I − S) for the skew-symmetric S [size, size] with ``skew`` above its diagonal."""
    row, column = torch.triu_indices(size, size, offset=1, device=skew.device)
    upper = skew.new_zeros(size, size).index_put((row, column), skew)
    matrix = upper - upper.T
    identity = torch.eye(size, dtype=skew.dtype, device=skew.device)
    return torch.linalg.solve_ex(identity + matrix, identity - matrix).result


def unit(vectors: Tensor) -> Tensor:
    """Scale ``vectors`` [..., F] to length one; zero where a vector is zero or not finite."""
    norms = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    usable = (norms > 0) & norms.isfinite()
    return torch.where(usable, vectors, 0) / torch.where(usable, norms, 1)
