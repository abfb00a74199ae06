"""Offers the kernels to PyTorch as custom operators, which the compiler and meta tensors understand.

Each gives weights [K] from a Gram matrix [K, K] and shares [K], all float64 and on one device, as the PyTorch
code of the method does. Triton is imported by the first launch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._kernels.launching import launch, launch_many

operator = torch.library.custom_op


@operator("mtrl::cagrad", mutates_args=())
def cagrad(gram: Tensor, shares: Tensor, c: float, scale: float) -> Tensor:
    """CAGrad's weights, exact, times ``scale``."""
    from mtrl.aggregators._kernels.ball import cagrad_kernel

    weights = torch.empty_like(shares)
    launch(cagrad_kernel, gram, shares, weights, c=c, scale=scale)
    return weights


@operator("mtrl::cagrad_sgd", mutates_args=())
def cagrad_sgd(gram: Tensor, shares: Tensor, c: float, scale: float, learning_rate: float) -> Tensor:
    """CAGrad's weights by twenty steps, times ``scale``."""
    from mtrl.aggregators._kernels.ball import cagrad_sgd_kernel

    weights = torch.empty_like(shares)
    launch(cagrad_sgd_kernel, gram, shares, weights, c=c, scale=scale, learning_rate=learning_rate)
    return weights


@operator("mtrl::min_norm", mutates_args=())
def min_norm(gram: Tensor, shares: Tensor, pull: float, keep_uniform: bool) -> Tensor:
    """SDMGrad's weights, or MGDA's where ``pull`` is 0 and ``keep_uniform`` is true."""
    from mtrl.aggregators._kernels.simplex import min_norm_kernel

    weights = torch.empty_like(shares)
    launch(min_norm_kernel, gram, shares, weights, pull=pull, keep_uniform=keep_uniform)
    return weights


@operator("mtrl::pcgrad", mutates_args=())
def pcgrad(gram: Tensor, shares: Tensor, uniform: Tensor) -> Tensor:
    """PCGrad's weights; sorting the rows of ``uniform`` [K, K] gives the orders."""
    from mtrl.aggregators._kernels.projections import pcgrad_kernel

    weights = torch.empty_like(shares)
    launch(pcgrad_kernel, gram, shares, uniform, weights)
    return weights


@operator("mtrl::dynamic", mutates_args=())
def dynamic(gram: Tensor, shares: Tensor, uniform: Tensor, alpha: float, project: bool) -> Tensor:
    """Dynamic weights of raw gradients, or of PCGrad's for the orders of ``uniform`` [K, K]."""
    from mtrl.aggregators._kernels.projections import dynamic_kernel

    weights = torch.empty_like(shares)
    launch(dynamic_kernel, gram, shares, uniform, weights, alpha=alpha, project=project)
    return weights


@operator("mtrl::gradvac", mutates_args=("target",))
def gradvac(gram: Tensor, shares: Tensor, uniform: Tensor, target: Tensor, beta: float) -> Tensor:
    """GradVac's weights for the orders of ``uniform`` [K, K]; moves ``target`` [K, K]."""
    from mtrl.aggregators._kernels.projections import gradvac_kernel

    weights = torch.empty_like(shares)
    launch(gradvac_kernel, gram, shares, uniform, target, weights, beta=beta)
    return weights


@operator("mtrl::gradops", mutates_args=())
def gradops(gram: Tensor, shares: Tensor, alpha: float) -> Tensor:
    """GradOPS's weights."""
    from mtrl.aggregators._kernels.fairness import gradops_kernel

    weights = torch.empty_like(shares)
    launch(gradops_kernel, gram, shares, weights, alpha=alpha)
    return weights


@operator("mtrl::alpha_fair", mutates_args=())
def alpha_fair(gram: Tensor, shares: Tensor, alpha: float) -> Tensor:
    """FairGrad's weights, Nash-MTL's where ``alpha`` is 1, with sum one."""
    from mtrl.aggregators._kernels.fairness import fair_kernel

    weights = torch.empty_like(shares)
    launch(fair_kernel, gram, weights, alpha=alpha)
    return weights


@operator("mtrl::imtl_g", mutates_args=())
def imtl_g(gram: Tensor, shares: Tensor) -> Tensor:
    """IMTL-G's weights."""
    from mtrl.aggregators._kernels.fairness import imtl_kernel

    weights = torch.empty_like(shares)
    launch(imtl_kernel, gram, weights)
    return weights


@operator("mtrl::dual_cone", mutates_args=())
def dual_cone(gram: Tensor, weights: Tensor, iterations: int) -> Tensor:
    """Weights [N, K] of the projections of combinations with ``weights`` [N, K] onto the dual cone."""
    from mtrl.aggregators._kernels.dual_cone import dual_cone_kernel

    projected = torch.empty_like(weights)
    launch_many(len(weights), dual_cone_kernel, gram, weights, projected, iterations=iterations)
    return projected


@operator("mtrl::aligned", mutates_args=())
def aligned(gram: Tensor, shares: Tensor, place: int, sweeps: int) -> Tensor:
    """Aligned-MTL's weights on the scale of the smallest, median or mean eigenvalue: 0, 1 or 2."""
    from mtrl.aggregators._kernels.spectral import aligned_kernel

    weights = torch.empty_like(shares)
    launch(aligned_kernel, gram, shares, weights, place=place, sweeps=sweeps)
    return weights


@operator("mtrl::config", mutates_args=())
def config(gram: Tensor, shares: Tensor, preference: Tensor, sweeps: int) -> Tensor:
    """ConFIG's weights."""
    from mtrl.aggregators._kernels.spectral import config_kernel

    weights = torch.empty_like(shares)
    launch(config_kernel, gram, shares, preference, weights, sweeps=sweeps)
    return weights


for made in (
    cagrad,
    cagrad_sgd,
    min_norm,
    pcgrad,
    dynamic,
    gradvac,
    gradops,
    alpha_fair,
    imtl_g,
    dual_cone,
    aligned,
    config,
):

    @made.register_fake
    def _like_shares(gram: Tensor, shares: Tensor, *_: object) -> Tensor:
        return torch.empty_like(shares)
