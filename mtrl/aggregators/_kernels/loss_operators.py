"""Offers the kernels that weigh tasks by their losses, as custom operators; see ``operators``."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._kernels.launching import launch

operator = torch.library.custom_op


@operator("mtrl::dwa", mutates_args=("sums", "counts", "newer", "older", "calls"))
def dwa(
    losses: Tensor,
    shares: Tensor,
    sums: Tensor,
    counts: Tensor,
    newer: Tensor,
    older: Tensor,
    calls: Tensor,
    temperature: float,
    epoch: int,
) -> Tensor:
    """DWA's weights from the averages of before, which the losses [K] move."""
    from mtrl.aggregators._kernels.losses import dwa_kernel

    weights = torch.empty_like(shares)
    state = (sums, counts, newer, older, calls)
    launch(dwa_kernel, losses, shares, *state, weights, temperature=temperature, epoch=epoch)
    return weights


@operator("mtrl::gls", mutates_args=())
def gls(losses: Tensor, shares: Tensor) -> Tensor:
    """GLS's weights from the losses [K]."""
    from mtrl.aggregators._kernels.losses import gls_kernel

    weights = torch.empty_like(shares)
    launch(gls_kernel, losses, shares, weights)
    return weights


@operator("mtrl::imtl_l", mutates_args=("log_scale",))
def imtl_l(losses: Tensor, shares: Tensor, log_scale: Tensor, learning_rate: float) -> Tensor:
    """IMTL-L's weights from the scales of before, which the losses [K] move."""
    from mtrl.aggregators._kernels.losses import imtl_l_kernel

    weights = torch.empty_like(shares)
    launch(imtl_l_kernel, losses, shares, log_scale, weights, learning_rate=learning_rate)
    return weights


for made in (dwa, gls, imtl_l):

    @made.register_fake
    def _like_shares(losses: Tensor, shares: Tensor, *_: object) -> Tensor:
        return torch.empty_like(shares)
