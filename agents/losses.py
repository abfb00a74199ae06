"""Soft actor-critic's losses (Haarnoja et al., 2018) as functions of one task's rows.

``task`` is the one-hot [K], B the samples of that task, A the action size.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtrl.flat import FlatModule
from mtrl.types import Stats

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0


class CriticRows(NamedTuple):
    """What one task's critic loss reads."""

    task: Tensor  # [K]
    obs: Tensor  # [B, O]
    action: Tensor  # [B, A]
    target: Tensor  # [B]


class ActorRows(NamedTuple):
    """What one task's actor loss reads."""

    task: Tensor  # [K]
    obs: Tensor  # [B, O]
    noise: Tensor  # [B, A], standard normal
    alpha: Tensor  # 0-d, the temperature


def squashed_gaussian(outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """A tanh-Gaussian sample and its log-density.

    Args:
        outputs: mean and log standard deviation, [B, 2A].
        noise: standard normal, [B, A].

    Returns:
        actions [B, A] in (-1, 1) and log π [B].
    """
    mean, log_std = outputs.chunk(2, dim=-1)
    log_std = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
    before = mean + log_std.exp() * noise
    log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    # log(1 - tanh²(x)) in a form that neither overflows nor cancels.
    log_slope = 2 * (math.log(2) - before - F.softplus(-2 * before))
    return before.tanh(), (log_normal - log_slope).sum(-1)


def td_target(
    actor: FlatModule,
    target_critic: FlatModule,
    discount: float,
    task: Tensor,
    reward: Tensor,
    next_obs: Tensor,
    terminated: Tensor,
    noise: Tensor,
    alpha: Tensor,
) -> Tensor:
    """r + γ (1 − terminated) (min Q'(s', a') − α log π(a'|s')), [B]. A time limit does not terminate."""
    next_action, log_prob = squashed_gaussian(actor(task, next_obs), noise)
    value = target_critic(task, next_obs, next_action).amin(0) - alpha * log_prob
    return reward + discount * torch.where(terminated, 0.0, value)


def critic_loss(critic: FlatModule, vector: Tensor, rows: CriticRows) -> tuple[Tensor, Stats]:
    """Sum over the twins of the mean squared TD error of parameters ``vector`` [P]."""
    values = critic.apply_with(vector, rows.task, rows.obs, rows.action)  # [2, B]
    loss = (values - rows.target).square().mean(-1).sum()
    return loss, {"q_mean": values.mean()}


def actor_loss(
    actor: FlatModule, critic: FlatModule, vector: Tensor, rows: ActorRows
) -> tuple[Tensor, Stats]:
    """Mean of α log π(a|s) − min Q(s, a) over the rows, for actor parameters ``vector`` [P]."""
    outputs = actor.apply_with(vector, rows.task, rows.obs)
    action, log_prob = squashed_gaussian(outputs, rows.noise)
    value = critic(rows.task, rows.obs, action).amin(0)
    return (rows.alpha * log_prob - value).mean(), {"entropy": -log_prob.mean()}
