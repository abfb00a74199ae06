"""Reads a matrix of gradients, one row a task: its Gram matrix, its norms, combinations of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional as F

from mtrl.products import rounds_products
from mtrl.types import ImplicitGradients

BLOCK = 2**20  # entries; small enough for the cache, large enough to hide a launch
FEW = 2**18  # entries whose products cost little, also in float64


def gram_matrix(gradients: Tensor | ImplicitGradients) -> Tensor:
    """Compute the inner products of ``gradients`` [K, P] as float64 [K, K].

    Products are float32 or better even inside autocast and where TF32 is allowed: the sign of a small inner
    product decides what counts as a conflict. The K x K algebra that follows is cheap, hence float64; so are
    the products of few entries.
    """
    if not isinstance(gradients, Tensor):
        return gradients.gram()
    if gradients.numel() <= FEW:
        gradients = gradients.double()
    if rounds_products(gradients):
        # Blocks need no second matrix.
        blocks = (precise(block) for block in column_blocks(gradients))
        return torch.stack([block @ block.T for block in blocks]).sum(0)
    # PyTorch 2.11 cannot compile the question which kinds of device have autocast.
    with nullcontext() if gradients.is_meta else torch.autocast(gradients.device.type, enabled=False):
        wide = precise(gradients)
        return (wide @ wide.T).double()


def precise(values: Tensor) -> Tensor:
    """Convert ``values`` to a type whose products are float32 or better: TF32 does not reach float64."""
    if values.dtype == torch.float64:
        return values
    return values.double() if rounds_products(values) else values.float()


def gradient_norms(gradients: Tensor | ImplicitGradients) -> Tensor:
    """Compute the norms of ``gradients`` [K, P] as float64 [K], from sums in float32 or better."""
    if not isinstance(gradients, Tensor):
        return gradients.norms()
    dtype = torch.promote_types(gradients.dtype, torch.float32)
    return torch.linalg.vector_norm(gradients, dim=1, dtype=dtype).double()


def are_finite(values: Tensor) -> Tensor:
    """Say which of ``values`` are finite; PyTorch's own ``isfinite`` launches twice as many operations."""
    return values.abs() < torch.inf


def combine(weights: Tensor, gradients: Tensor | ImplicitGradients, usable: Tensor) -> Tensor:
    """Compute ``weights`` [..., K] @ ``gradients`` [K, P] over the ``usable``, whatever the others contain.

    Zero times NaN is NaN, so an unusable gradient must not be read. An embedding bag reads each once, without
    the copy that masking would need: one that cannot be used is replaced by the first that can, with
    weight zero.
    """
    if not isinstance(gradients, Tensor):
        return gradients.combine(weights, usable)
    places = torch.arange(len(usable), device=usable.device)
    read = torch.where(usable, places, usable.long().argmax())
    scale = torch.where(usable, weights.view(-1, len(usable)), 0).to(gradients.dtype)  # [M, K]
    vectors = F.embedding_bag(read.expand(scale.shape), gradients, mode="sum", per_sample_weights=scale)
    return torch.where(usable.any(), vectors, 0).view(*weights.shape[:-1], -1)


def column_blocks(matrix: Tensor) -> tuple[Tensor, ...]:
    """Cut ``matrix`` [K, P] into views [K, C] of its columns.

    A copy of the whole matrix can cost more than its Gram matrix: the memory must be mapped anew.
    """
    return torch.split(matrix, max(1, BLOCK // len(matrix)), dim=1)


def finite_blocks(gradients: Tensor, dtype: torch.dtype | None = None) -> Iterator[Tensor]:
    """Yield each of the :func:`column_blocks` with zeros for what is not finite; valid until the next."""
    blocks = column_blocks(gradients)
    scratch = torch.empty_like(blocks[0], dtype=dtype)
    for block in blocks:
        copy = scratch[:, : block.shape[1]].copy_(block)
        yield copy.nan_to_num_(nan=0, posinf=0, neginf=0)
