"""Multi-task soft actor-critic whose task gradients pass through aggregators."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from agents.losses import ActorRows, CriticRows, actor_loss, critic_loss, squashed_gaussian, td_target
from agents.networks import OneHotMLP, Twin
from mtrl.aggregation import Aggregated, aggregate_gradients
from mtrl.aggregators import Aggregator
from mtrl.errors import require
from mtrl.flat import FlatModule
from mtrl.types import Stats, SuiteSpec, Transition


class SAC:
    """One actor and one pair of critics for K tasks, each task with a temperature of its own.

    The K gradients of the critics (both as one vector) and of the actor are aggregated separately.
    Temperatures belong to one task each and never enter an aggregator.

    Args:
        spec: the suite's sizes.
        actor_aggregator: for the actor's gradients.
        critic_aggregator: for the critics' gradients; another instance, since aggregators hold state.
        device: where everything lives.
        generator: source of initial weights, action noise and policy samples, on ``device``.
        hidden: widths of the hidden layers of actor and critics.
        layer_norm: normalise the critics' hidden layers.
        learning_rate: Adam's, for actor, critics and temperatures.
        discount: γ.
        polyak: τ, the share of the critics that moves into the targets at each update.
        initial_temperature: α at the start.
        target_entropy: per task, in nats; None stands for −A.
        reward_scale: factor on the rewards of a batch; small values are learnt sooner than large ones.
    """

    def __init__(
        self,
        spec: SuiteSpec,
        actor_aggregator: Aggregator,
        critic_aggregator: Aggregator,
        device: torch.device,
        generator: torch.Generator | None,
        *,
        hidden: Sequence[int] = (400, 400, 400),
        layer_norm: bool = False,
        learning_rate: float = 3e-4,
        discount: float = 0.99,
        polyak: float = 0.005,
        initial_temperature: float = 1.0,
        target_entropy: float | None = None,
        reward_scale: float = 1.0,
    ) -> None:
        require(learning_rate > 0, f"learning_rate must be greater than 0, found {learning_rate}")
        require(0 <= discount <= 1, f"discount must be between 0 and 1, found {discount}")
        require(0 < polyak <= 1, f"polyak must be in (0, 1], found {polyak}")
        require(initial_temperature > 0, f"initial_temperature must be above 0, found {initial_temperature}")
        require(reward_scale > 0, f"reward_scale must be greater than 0, found {reward_scale}")
        self.spec = spec
        self.reward_scale = reward_scale
        self.discount = discount
        self.polyak = polyak
        self.generator = generator
        self.target_entropy = -float(spec.action_size) if target_entropy is None else target_entropy
        self.tasks = torch.eye(spec.num_tasks, device=device)  # [K, K], the one-hot task ids
        network = partial(OneHotMLP, spec.num_tasks, hidden=hidden, device=device, generator=generator)
        pair = spec.obs_size + spec.action_size
        critics = (network(pair, 1, layer_norm=layer_norm) for _ in range(2))
        self.actor = FlatModule(network(spec.obs_size, 2 * spec.action_size, layer_norm=False))
        self.critic = FlatModule(Twin(*critics))
        self.target_critic = copy.deepcopy(self.critic)
        log_alpha = torch.full((spec.num_tasks,), initial_temperature, device=device).log()
        self.log_alpha = nn.Parameter(log_alpha)  # [K]
        self.actor_aggregator = actor_aggregator.to(device)
        self.critic_aggregator = critic_aggregator.to(device)
        self.actor_optimizer = torch.optim.Adam([self.actor.vector], lr=learning_rate)
        self.critic_optimizer = torch.optim.Adam([self.critic.vector], lr=learning_rate)
        self.alpha_optimizer = torch.optim.Adam([self.log_alpha], lr=learning_rate)

    @torch.no_grad()
    def act(self, obs: Tensor, deterministic: bool) -> Tensor:
        """Actions [K, n, A] in [-1, 1] for observations [K, n, O]."""
        outputs = vmap(self.actor)(self.tasks, obs)  # [K, n, 2A]
        if deterministic:
            return outputs.chunk(2, dim=-1)[0].tanh()
        noise = self._noise(*obs.shape[:2])
        return squashed_gaussian(outputs, noise)[0]

    @torch.no_grad()
    def update(self, batch: Transition, diagnose: bool) -> Stats:
        """One step of critics, actor, temperatures and targets.

        Args:
            batch: fields [K, B, ...].
            diagnose: add the conflict statistics of both aggregations, at the cost of a Gram matrix each.

        Returns:
            Statistics by name, 0-d or [K], on the device.
        """
        alpha = self.log_alpha.exp()  # [K]
        stats = self._update_critics(batch, alpha, diagnose)
        stats |= self._update_actor(batch.obs, alpha, diagnose)
        # The gradient of −α(log π + target entropy) in log α is the loss itself.
        self.log_alpha.grad = alpha * (stats["actor/entropy"] - self.target_entropy)
        self.alpha_optimizer.step()
        self.target_critic.vector.lerp_(self.critic.vector, self.polyak)
        return stats | {"temperature": alpha}

    def critic_rows(self, batch: Transition, target: Tensor) -> CriticRows:
        """What the critics' loss reads, for targets [K, B]."""
        return CriticRows(self.tasks, batch.obs, batch.action, target)

    def critic_direction(self, rows: CriticRows) -> Aggregated:
        """The critics' direction for given targets."""
        loss = partial(critic_loss, self.critic)
        return aggregate_gradients(loss, self.critic.vector, rows, self.critic_aggregator)

    def actor_direction(self, rows: ActorRows) -> Aggregated:
        """The actor's direction for given noise and temperatures."""
        loss = partial(actor_loss, self.actor, self.critic)
        return aggregate_gradients(loss, self.actor.vector, rows, self.actor_aggregator)

    def _update_critics(self, batch: Transition, alpha: Tensor, diagnose: bool) -> Stats:
        noise = self._noise(*batch.reward.shape)
        target = vmap(partial(td_target, self.actor, self.target_critic, self.discount))(
            self.tasks, self.reward_scale * batch.reward, batch.next_obs, batch.terminated, noise, alpha
        )  # [K, B]
        rows = self.critic_rows(batch, target)
        aggregated = self.critic_direction(rows)
        self.critic.vector.grad = aggregated.direction.vector
        self.critic_optimizer.step()
        return aggregated.statistics("critic", diagnose)

    def _update_actor(self, obs: Tensor, alpha: Tensor, diagnose: bool) -> Stats:
        rows = ActorRows(self.tasks, obs, self._noise(*obs.shape[:2]), alpha)
        aggregated = self.actor_direction(rows)
        self.actor.vector.grad = aggregated.direction.vector
        self.actor_optimizer.step()
        return aggregated.statistics("actor", diagnose)

    def _noise(self, tasks: int, rows: int) -> Tensor:
        shape = (tasks, rows, self.spec.action_size)
        return torch.randn(shape, generator=self.generator, device=self.tasks.device)

    def parameter_counts(self) -> dict[str, int]:
        """Trained parameters by part; target critics are copies and not counted."""
        parts = {"actor": self.actor.vector, "critics": self.critic.vector, "temperatures": self.log_alpha}
        return {name: vector.numel() for name, vector in parts.items()}

    def _parts(self) -> dict[str, Any]:
        return {
            "actor": self.actor,
            "critic": self.critic,
            "target_critic": self.target_critic,
            "actor_aggregator": self.actor_aggregator,
            "critic_aggregator": self.critic_aggregator,
            "actor_optimizer": self.actor_optimizer,
            "critic_optimizer": self.critic_optimizer,
            "alpha_optimizer": self.alpha_optimizer,
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning changes."""
        return {
            "log_alpha": self.log_alpha.detach(),
            **{name: part.state_dict() for name, part in self._parts().items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, for the same suite, networks and aggregators."""
        expected, found = self.actor.vector.shape, state["actor"]["vector"].shape
        require(
            expected == found,
            f"agent state must come from the same suite and networks: the actor has {expected.numel()} "
            f"parameters, the state {found.numel()}",
        )
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
