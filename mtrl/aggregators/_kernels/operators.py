"""Offers the kernels to PyTorch as custom operators, which the compiler and meta tensors understand."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._kernels.launching import launch


@torch.library.custom_op("mtrl::cagrad", mutates_args=())
def cagrad(gram: Tensor, shares: Tensor, c: float, scale: float) -> Tensor:
    """CAGrad's weights [K], times ``scale``, from gram [K, K] and shares [K], all float64."""
    from mtrl.aggregators._kernels.ball import cagrad_kernel

    weights = torch.empty_like(shares)
    launch(cagrad_kernel, len(gram), gram, shares, weights, c=c, scale=scale)
    return weights


@torch.library.custom_op("mtrl::min_norm", mutates_args=())
def min_norm(gram: Tensor, shares: Tensor, pull: float, keep_uniform: bool) -> Tensor:
    """MGDA's or SDMGrad's weights [K] from gram [K, K] and shares [K], all float64."""
    from mtrl.aggregators._kernels.simplex import min_norm_kernel

    weights = torch.empty_like(shares)
    launch(min_norm_kernel, len(gram), gram, shares, weights, pull=pull, keep_uniform=keep_uniform)
    return weights


@torch.library.custom_op("mtrl::pcgrad", mutates_args=())
def pcgrad(gram: Tensor, shares: Tensor, uniform: Tensor) -> Tensor:
    """PCGrad's weights [K] from gram [K, K], shares [K] and random numbers [K, K], all float64."""
    from mtrl.aggregators._kernels.projections import pcgrad_kernel

    weights = torch.empty_like(shares)
    launch(pcgrad_kernel, len(gram), gram, shares, uniform, weights)
    return weights


@cagrad.register_fake
@min_norm.register_fake
@pcgrad.register_fake
def _like_shares(gram: Tensor, shares: Tensor, *_: object) -> Tensor:
    return torch.empty_like(shares)
