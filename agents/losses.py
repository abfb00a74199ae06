"""Soft actor-critic's losses (Haarnoja et al., 2018) as functions of one task's networks and rows.

``task`` is the one-hot [K], B the samples of that task, A the action size. Networks are called as
``network(task, *inputs)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from mtrl.agents.distributions import Policy
from mtrl.agents.values import Value
from mtrl.types import Stats

Network = Callable[..., Tensor]


class TargetRows(NamedTuple):
    """What one task's targets are computed from."""

    task: Tensor  # [K]
    reward: Tensor  # [B]
    next_obs: Tensor  # [B, O]
    terminated: Tensor  # [B] bool
    noise: Tensor  # [B, A], standard normal
    alpha: Tensor  # 0-d, the temperature


class CriticRows(NamedTuple):
    """What one task's critic loss reads."""

    task: Tensor  # [K]
    obs: Tensor  # [B, O]
    action: Tensor  # [B, A]
    target: Tensor  # [B, ...], in the terms of the Value
    weight: Tensor  # 0-d, of the task


class ActorRows(NamedTuple):
    """What one task's actor loss reads."""

    task: Tensor  # [K]
    obs: Tensor  # [B, O]
    noise: Tensor  # [B, A], standard normal
    alpha: Tensor  # 0-d, the temperature
    weight: Tensor  # 0-d, of the task


def td_target(
    actor: Network, target_critic: Network, policy: Policy, value: Value, discount: float, rows: TargetRows
) -> Tensor:
    """r + γ (1 − terminated) (Q'(s', a') − α log π(a'|s')), [B, ...]. A time limit does not terminate."""
    next_action, log_prob = policy.sample(actor(rows.task, rows.next_obs), rows.noise)
    outputs = target_critic(rows.task, rows.next_obs, next_action)  # [2, B, outputs]
    scale = discount * (~rows.terminated).to(outputs.dtype)  # [B]
    return value.target(outputs, rows.reward - scale * rows.alpha * log_prob, scale)


def critic_loss(critic: Network, value: Value, rows: CriticRows) -> tuple[Tensor, Stats]:
    """Sum over the twins of the mean error of their values."""
    outputs = critic(rows.task, rows.obs, rows.action)  # [2, B, outputs]
    loss = value.error(outputs, rows.target).mean(-1).sum()
    return rows.weight * loss, {"q_mean": value.expectation(outputs).mean()}


def actor_loss(
    actor: Network, critic: Network, policy: Policy, value: Value, rows: ActorRows
) -> tuple[Tensor, Stats]:
    """Mean of α log π(a|s) − Q(s, a) over the rows."""
    action, log_prob = policy.sample(actor(rows.task, rows.obs), rows.noise)
    loss = (rows.alpha * log_prob - value.trusted(critic(rows.task, rows.obs, action))).mean()
    return rows.weight * loss, {"entropy": -log_prob.mean()}
