"""Explores with random actions that last: what a policy's noise, new at every step, does not find."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.types import Policy

LONGEST = 40  # steps that an action is held at most: a fifth of an episode of 200


class Exploration:
    """Holds a random action for some steps now and then, in each environment for itself.

    εz-greedy of Dabney, Ostrovski and Barreto, "Temporally-extended ε-greedy exploration" (ICLR 2021),
    Algorithm 1: where no action is held, one begins with probability ε; it is uniform in [-1, 1] and lasts n
    steps, P(n >= k) = 1 / k.

    Deviations: that distribution has the tail of the paper's zeta distribution with μ = 2 and is cheaper to
    draw; it is cut at ``LONGEST``. Between held actions the stochastic policy acts, not a greedy one.

    Args:
        policy: acts otherwise, and alone at rate 0 or where it is to be deterministic.
        rate: ε, in [0, 1].
        shape: [K, n, A] of actions.
        generator: of the draws, on the device.
        device: where actions live.
    """

    def __init__(
        self,
        policy: Policy,
        rate: float,
        shape: tuple[int, int, int],
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self._policy = policy
        self._rate = rate
        self._generator = generator
        self._held = torch.zeros(shape, device=device)  # [K, n, A], the random actions
        self._left = torch.zeros(shape[:2], device=device)  # [K, n], steps that they still last

    def act(self, obs: Tensor, deterministic: bool) -> Tensor:
        """Choose actions [K, n, A] in [-1, 1] for observations [K, n, O]."""
        action = self._policy.act(obs, deterministic)
        if deterministic or self._rate == 0:
            return action
        begins, length = self._uniform(2, *self._left.shape)  # [K, n] each
        begun = (self._left <= 0) & (begins < self._rate)  # [K, n]
        drawn = 2 * self._uniform(*self._held.shape) - 1  # [K, n, A]
        self._held.copy_(torch.where(begun[..., None], drawn, self._held))
        left = torch.where(begun, (1 / length).floor().clamp(max=LONGEST), self._left)  # [K, n]
        self._left.copy_((left - 1).clamp(min=0))
        return torch.where(left[..., None] > 0, self._held, action)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self._held.device)

    def state_dict(self) -> dict[str, Tensor]:
        """What is held, the tensors themselves."""
        return {"held": self._held, "left": self._left}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with what was held."""
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])
