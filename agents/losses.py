"""States soft actor-critic's losses (Haarnoja et al., 2018) for the samples of one task.

K tasks, B samples of each; O and A are the sizes of observations and actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from mtrl.agents.distributions import TanhNormal
from mtrl.agents.values import Value
from mtrl.gradients.flat_module import FlatModule
from mtrl.gradients.taps import Tapped
from mtrl.types import Metrics


class TaskBatch(NamedTuple):
    """Holds all that an update reads of its batch. Losses see one task's, without the first dimension."""

    task: Tensor  # [K, K], one-hot
    obs: Tensor  # [K, B, O]
    action: Tensor  # [K, B, A]
    reward: Tensor  # [K, B], scaled
    next_obs: Tensor  # [K, B, O]
    terminated: Tensor  # [K, B] bool
    next_noise: Tensor  # [K, B, A], standard normal, of the actions after next_obs
    noise: Tensor  # [K, B, A], standard normal, of the actions that the actor would take after obs
    alpha: Tensor  # [K], temperatures
    weight: Tensor  # [K], of the tasks' losses; 1 on average


@dataclass(frozen=True)
class TaskLosses:
    """Computes the three equations of the algorithm from the parameters that learn by them.

    Parameters come as ``shared`` [P], which all tasks have in common, and ``own`` [Q], those of the task.
    """

    actor: FlatModule
    critic: FlatModule
    target_critic: FlatModule
    policy: TanhNormal
    value: Value
    discount: float

    def td_target(self, shared: Tensor, own: Tensor, critic_own: Tensor, data: TaskBatch) -> Tensor:
        """Compute r + γ (1 − terminated) (Q'(s', a') − α log π(a'|s')), [B, ...].

        A time limit does not terminate. ``shared`` and ``own`` are the actor's, ``critic_own`` the target
        critics'.
        """
        outputs = self.actor.apply_with(shared, own, data.task, data.next_obs)
        next_action, log_prob = self.policy.sample(outputs, data.next_noise)
        target_critic = self.target_critic
        outputs = target_critic.apply_with(  # [2, B, outputs]
            target_critic.shared, critic_own, data.task, data.next_obs, next_action
        )
        scale = self.discount * (~data.terminated).to(outputs.dtype)  # [B]
        return self.value.target(outputs, data.reward - scale * data.alpha * log_prob, scale)

    def critic_loss(
        self, shared: Tensor | Tapped, own: Tensor, sample: tuple[TaskBatch, Tensor]
    ) -> tuple[Tensor, Metrics]:
        """Sum the mean errors of both twins.

        ``shared`` and ``own`` are the critics'; ``sample`` has the batch and its targets [B, ...].
        """
        data, target = sample
        outputs = self.critic.apply_with(shared, own, data.task, data.obs, data.action)  # [2, B, outputs]
        errors, values = self.value.errors(outputs, target)  # [2, B]
        return data.weight * errors.mean(-1).sum(), {"q_mean": values.mean()}

    def actor_loss(
        self, shared: Tensor | Tapped, own: Tensor, sample: tuple[TaskBatch, Tensor]
    ) -> tuple[Tensor, Metrics]:
        """Average α log π(a|s) − Q(s, a) over the samples.

        ``shared`` and ``own`` are the actor's; ``sample`` has the batch and the critics' own parameters.
        """
        data, critic_own = sample
        action, log_prob = self.policy.sample(
            self.actor.apply_with(shared, own, data.task, data.obs), data.noise
        )
        outputs = self.critic.apply_with(self.critic.shared, critic_own, data.task, data.obs, action)
        loss = (data.alpha * log_prob - self.value.value_for_actor(outputs)).mean()
        return data.weight * loss, {"entropy": -log_prob.mean()}
