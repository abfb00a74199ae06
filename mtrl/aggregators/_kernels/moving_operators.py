"""Offers the kernels that move a method's state in place, as custom operators; see ``operators``."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._kernels.launching import launch

operator = torch.library.custom_op


@operator("mtrl::moco", mutates_args=("simplex",))
def moco(gram: Tensor, shares: Tensor, gamma: Tensor, simplex: Tensor, rho: float, softmax: bool) -> Tensor:
    """Moves MoCo's λ [K] one step of size ``gamma``; gives it, with zeros where a task has no share."""
    from mtrl.aggregators._kernels.simplex import moco_kernel

    weights = torch.empty_like(shares)
    launch(moco_kernel, gram, shares, gamma, simplex, weights, rho=rho, softmax=softmax)
    return weights


@operator("mtrl::smoothed", mutates_args=("smoothed", "seen", "steps"))
def smoothed(
    fresh: Tensor,
    shares: Tensor,
    smoothed: Tensor,
    seen: Tensor,
    steps: Tensor,
    alpha: float,
    scheduled: bool,
    decay: float,
) -> Tensor:
    """CR-MOGM's weights from the ``fresh`` ones [K]."""
    from mtrl.aggregators._kernels.moving import smoothing_kernel

    weights = torch.empty_like(shares)
    constants = {"alpha": alpha, "scheduled": scheduled, "rate_decay": decay}
    launch(smoothing_kernel, fresh, shares, smoothed, seen, steps, weights, **constants)
    return weights


@operator("mtrl::famo", mutates_args=("logits", "moments", "steps", "previous", "lowest", "seen"))
def famo(
    losses: Tensor,
    shares: Tensor,
    logits: Tensor,
    moments: Tensor,
    steps: Tensor,
    previous: Tensor,
    lowest: Tensor,
    seen: Tensor,
    learning_rate: float,
    decay: float,
) -> Tensor:
    """FAMO's weights from the losses [K]."""
    from mtrl.aggregators._kernels.moving import famo_kernel

    weights = torch.empty_like(shares)
    state = (logits, moments, steps, previous, lowest, seen)
    launch(famo_kernel, losses, shares, *state, weights, learning_rate=learning_rate, decay=decay)
    return weights


@operator("mtrl::gradnorm", mutates_args=("task_weights", "first_losses", "seen"))
def gradnorm(
    gram: Tensor,
    losses: Tensor,
    shares: Tensor,
    task_weights: Tensor,
    first_losses: Tensor,
    seen: Tensor,
    alpha: float,
    learning_rate: float,
) -> Tensor:
    """GradNorm's weights from the diagonal of the Gram matrix and the losses [K]."""
    from mtrl.aggregators._kernels.moving import gradnorm_kernel

    weights = torch.empty_like(shares)
    state = (task_weights, first_losses, seen)
    launch(gradnorm_kernel, gram, losses, shares, *state, weights, alpha=alpha, learning_rate=learning_rate)
    return weights


@operator("mtrl::uncertainty", mutates_args=("log_variance",))
def uncertainty(losses: Tensor, shares: Tensor, log_variance: Tensor, learning_rate: float) -> Tensor:
    """The weights of uncertainty weighting from the losses [K]."""
    from mtrl.aggregators._kernels.moving import uncertainty_kernel

    weights = torch.empty_like(shares)
    launch(uncertainty_kernel, losses, shares, log_variance, weights, learning_rate=learning_rate)
    return weights


@operator("mtrl::stch", mutates_args=("ideal",))
def stch(losses: Tensor, shares: Tensor, ideal: Tensor, mu: float) -> Tensor:
    """STCH's weights from the losses [K]."""
    from mtrl.aggregators._kernels.moving import stch_kernel

    weights = torch.empty_like(shares)
    launch(stch_kernel, losses, shares, ideal, weights, mu=mu)
    return weights


@moco.register_fake
def _like_second(gram: Tensor, shares: Tensor, *_: object) -> Tensor:
    return torch.empty_like(shares)


@gradnorm.register_fake
def _like_third(gram: Tensor, losses: Tensor, shares: Tensor, *_: object) -> Tensor:
    return torch.empty_like(shares)


for made in (smoothed, famo, uncertainty, stch):

    @made.register_fake
    def _like_shares(losses: Tensor, shares: Tensor, *_: object) -> Tensor:
        return torch.empty_like(shares)
