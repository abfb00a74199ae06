"""Multi-task soft actor-critic whose task gradients pass through aggregators."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import vmap

from mtrl.agents.distributions import Policy
from mtrl.agents.learner import Learner, StepOptions
from mtrl.agents.losses import ActorRows, CriticRows, TargetRows, actor_loss, critic_loss, td_target
from mtrl.agents.networks import Build, Layers, OneHotMLP, Sizes, Twin
from mtrl.agents.rewards import RewardScale
from mtrl.agents.temperature import Temperature
from mtrl.agents.values import ScalarValue, Value
from mtrl.aggregators import Aggregator
from mtrl.errors import require
from mtrl.gradients.aggregation import Scope
from mtrl.gradients.flat_module import FlatModule
from mtrl.gradients.per_task import TaskGradients
from mtrl.training.compiling import Compiler
from mtrl.types import Stats, SuiteSpec, Transition
from mtrl.validation import require_choice, require_number

Noise = list[Tensor]  # standard normal, [K, B, A] each; drawn outside of what is compiled
Gradients = Callable[[Transition, Tensor, Noise], TaskGradients]
PAPERS_NETWORK = partial(OneHotMLP, hidden=(400, 400, 400))


class SAC:
    """An actor and a pair of critics for K tasks.

    The K gradients of the critics (both as one vector) and of the actor are aggregated separately.
    Parameters that belong to one task follow their own gradient, temperatures always.

    Args:
        spec: the suite's sizes.
        actor_aggregator: for the actor's gradients.
        critic_aggregator: for the critics' gradients; another instance, since aggregators hold state.
        device: where everything lives.
        generator: source of initial weights, action noise and policy samples, on ``device``.
        network: makes actor and critics; a class of :mod:`mtrl.agents.networks` with its options bound.
        critic_network: makes the critics, where they differ from the actor.
        layer_norm: whose hidden layers are normalised: "none", "critic" or "both".
        value: how critics state a value.
        log_std: how the policy's log σ is kept in its range, "clip" or "tanh".
        learning_rate: Adam's, for actor, critics and temperatures.
        weight_decay: of actor and critics, decoupled (AdamW).
        max_gradient_norm: directions of actor and critics are clipped to it.
        aggregate: whether parameters of one task stay out of the aggregators, "shared", or not, "all".
        discount: γ.
        polyak: τ, the share of the critics that moves into the targets at each update.
        temperature: one "per_task" or one "shared".
        initial_temperature: α at the start.
        target_entropy: per task, in nats; None stands for −A.
        task_weights: of the losses: "uniform", or by "temperature": K softmax(−α), which favours tasks
            whose policy has become certain (Yang et al., NeurIPS 2020, section 4.3).
        reward_scale: factor on the rewards of a batch, one or one for each task; small values are learnt
            sooner than large ones.
        normalize_rewards: divide each task's rewards by the root of their running mean square.
    """

    actor_draws = 1  # of noise, for the actor's gradients

    def __init__(
        self,
        spec: SuiteSpec,
        actor_aggregator: Aggregator,
        critic_aggregator: Aggregator,
        device: torch.device,
        generator: torch.Generator | None,
        *,
        network: Build = PAPERS_NETWORK,
        critic_network: Build | None = None,
        layer_norm: Literal["none", "critic", "both"] = "none",
        value: Value | None = None,
        log_std: Literal["clip", "tanh"] = "clip",
        learning_rate: float = 3e-4,
        weight_decay: float = 0.0,
        max_gradient_norm: float | None = None,
        aggregate: Scope = "shared",
        discount: float = 0.99,
        polyak: float = 0.005,
        temperature: Literal["per_task", "shared"] = "per_task",
        initial_temperature: float = 1.0,
        target_entropy: float | None = None,
        task_weights: Literal["uniform", "temperature"] = "uniform",
        reward_scale: float | Sequence[float] = 1.0,
        normalize_rewards: bool = False,
    ) -> None:
        options = StepOptions(learning_rate, weight_decay, max_gradient_norm, aggregate)
        require_number("discount", discount, low=0, high=1)
        require_number("polyak", polyak, above=0, high=1)
        require_choice("layer_norm", layer_norm, ("none", "critic", "both"))
        require_choice("task_weights", task_weights, ("uniform", "temperature"))
        require(callable(network), f"network must make one, found {network!r}; give network._target_")
        require(
            critic_network is None or callable(critic_network),
            f"critic_network must be null or make a network, found {critic_network!r}",
        )
        require(
            value is None or hasattr(value, "expectation"),
            f"value must be null or an object, found {value!r}",
        )
        self.spec = spec
        self.discount = discount
        self.polyak = polyak
        self.weighted = task_weights == "temperature"
        self.generator = generator
        self.tasks = torch.eye(spec.num_tasks, device=device)  # [K, K], the one-hot task ids
        self.value = ScalarValue() if value is None else value
        self.policy = Policy(log_std)
        self.rewards = RewardScale(spec.num_tasks, device, scale=reward_scale, normalize=normalize_rewards)
        self.temperature = Temperature(
            spec.num_tasks,
            device,
            initial=initial_temperature,
            target_entropy=-float(spec.action_size) if target_entropy is None else target_entropy,
            learning_rate=learning_rate,
            scope=temperature,
        )
        layers = Layers(device, generator, layer_norm == "both")
        sizes = Sizes(spec.task_names, spec.obs_size, 2 * spec.action_size)
        actor = FlatModule(network(sizes, layers), spec.num_tasks)
        layers = Layers(device, generator, layer_norm in ("critic", "both"))
        inputs = spec.obs_size + spec.action_size
        sizes = Sizes(spec.task_names, inputs, self.value.outputs, spec.action_size)
        twin = Twin(*((critic_network or network)(sizes, layers) for _ in range(2)))
        critic = FlatModule(twin, spec.num_tasks)
        self.actor = Learner(actor, actor_aggregator, options)
        self.critic = Learner(critic, critic_aggregator, options)
        self.target_critic = copy.deepcopy(critic)
        self._td_gradients: Gradients = self.td_gradients
        self._actor_gradients: Gradients = self.actor_gradients

    def accelerate(self, compiler: Compiler | None, dtype: torch.dtype | None, chunk: int | None) -> None:
        """How updates are computed, see :class:`mtrl.training.compiling.Accelerable`.

        Compiled are the critics' gradients, with their targets, and the actor's: two graphs; and the step
        that a solver repeats. The rest of aggregation, optimisers and acting stay as they are.
        """
        for network in (self.actor.network, self.critic.network, self.target_critic):
            network.dtype = dtype
        for learner in (self.actor, self.critic):
            learner.chunk = chunk
        if compiler is not None:
            self._td_gradients = compiler(self.td_gradients)
            self._actor_gradients = compiler(self.actor_gradients)
            for module in (*self.actor.aggregator.modules(), *self.critic.aggregator.modules()):
                if isinstance(module, Aggregator) and module.solver_step is not None:
                    module.solver_step = compiler(module.solver_step)

    @torch.no_grad()
    def act(self, obs: Tensor, deterministic: bool) -> Tensor:
        """Actions [K, n, A] in [-1, 1] for observations [K, n, O]."""
        outputs = self.actor.network(self.tasks, obs)  # [K, n, 2A]
        if deterministic:
            return self.policy.mode(outputs)
        return self.policy.sample(outputs, self._noise(*obs.shape[:2]))[0]

    @torch.no_grad()
    def update(self, batch: Transition, diagnose: bool) -> Stats:
        """One step of critics, actor, temperatures and targets.

        Args:
            batch: fields [K, B, ...].
            diagnose: add the conflict statistics of both aggregations, at the cost of a Gram matrix each.

        Returns:
            Statistics by name, 0-d or [K], on the device.
        """
        alpha = self.temperature.alpha()  # [K]
        batch = batch._replace(reward=self.rewards(batch.reward))
        stats = self._update_critics(batch, alpha, diagnose)
        stats |= self._update_actor(batch, alpha, diagnose)
        self.temperature.step(stats["actor/entropy"])
        for target, source in zip(
            self.target_critic.parameters(), self.critic.network.parameters(), strict=True
        ):
            target.lerp_(source, self.polyak)  # two tensors: nothing for a foreach kernel to gain
        return stats | {"temperature": alpha}

    def td_gradients(self, batch: Transition, alpha: Tensor, noise: Noise) -> TaskGradients:
        """The critics' gradients for targets at temperatures [K]; ``noise`` is one tensor."""
        target = self.targets(batch, alpha, noise)
        return self.critic_gradients(self.critic_rows(batch, target, alpha))

    def targets(self, batch: Transition, alpha: Tensor, noise: Noise | None = None) -> Tensor:
        """What the critics should say of a batch at temperatures [K], [K, B, ...]."""
        target = partial(self.task_target, self.actor.network.shared)
        noise = self.draw(batch, 1) if noise is None else noise
        rows = self.target_rows(batch, alpha, noise[0])
        return vmap(target)(self.actor.network.own, self.target_critic.own, rows)

    def critic_gradients(self, rows: CriticRows) -> TaskGradients:
        """The critics' gradients for given targets."""
        return self.critic.gradients(self.task_critic_loss, rows)

    def actor_gradients(self, batch: Transition, alpha: Tensor, noise: Noise | None = None) -> TaskGradients:
        """The actor's gradients at temperatures [K]; ``noise`` is ``actor_draws`` tensors."""
        noise = self.draw(batch, self.actor_draws) if noise is None else noise
        data = (self.critic.network.own, self.actor_rows(batch, alpha, noise[0]))
        return self.actor.gradients(self.task_actor_loss, data)

    def draw(self, batch: Transition, count: int) -> Noise:
        """New noise for policies on the rows of ``batch``."""
        return [self._noise(*batch.reward.shape) for _ in range(count)]

    def target_rows(self, batch: Transition, alpha: Tensor, noise: Tensor) -> TargetRows:
        """What the targets are computed from."""
        return TargetRows(self.tasks, batch.reward, batch.next_obs, batch.terminated, noise, alpha)

    def critic_rows(self, batch: Transition, target: Tensor, alpha: Tensor) -> CriticRows:
        """What the critics' loss reads, for targets [K, B, ...]."""
        return CriticRows(self.tasks, batch.obs, batch.action, target, self.loss_weights(alpha))

    def actor_rows(self, batch: Transition, alpha: Tensor, noise: Tensor) -> ActorRows:
        """What the actor's loss reads."""
        return ActorRows(self.tasks, batch.obs, noise, alpha, self.loss_weights(alpha))

    def task_target(self, shared: Tensor, own: Tensor, critic_own: Tensor, rows: TargetRows) -> Tensor:
        """One task's targets [B, ...] for an actor with parameters ``shared`` [P] and ``own`` [Q]."""
        actor = partial(self.actor.network.apply_with, shared, own)
        critic = partial(self.target_critic.apply_with, self.target_critic.shared, critic_own)
        return td_target(actor, critic, self.policy, self.value, self.discount, rows)

    def task_critic_loss(self, shared: Tensor, own: Tensor, rows: CriticRows) -> tuple[Tensor, Stats]:
        """One task's loss of critics with parameters ``shared`` [P] and ``own`` [Q]."""
        return critic_loss(partial(self.critic.network.apply_with, shared, own), self.value, rows)

    def task_actor_loss(
        self, shared: Tensor, own: Tensor, data: tuple[Tensor, ActorRows]
    ) -> tuple[Tensor, Stats]:
        """One task's loss of an actor with parameters ``shared`` [P] and ``own`` [Q].

        ``data`` is the critics' own parameters [Q'] and the rows.
        """
        critic_own, rows = data
        actor = partial(self.actor.network.apply_with, shared, own)
        critic = partial(self.critic.network.apply_with, self.critic.network.shared, critic_own)
        return actor_loss(actor, critic, self.policy, self.value, rows)

    def loss_weights(self, alpha: Tensor) -> Tensor:
        """The weights [K] of the tasks' losses at temperatures [K]; 1 on average."""
        return self.spec.num_tasks * (-alpha).softmax(0) if self.weighted else torch.ones_like(alpha)

    def _update_critics(self, batch: Transition, alpha: Tensor, diagnose: bool) -> Stats:
        aggregated = self.critic.aggregate(self._td_gradients(batch, alpha, self.draw(batch, 1)))
        self.critic.step(aggregated)
        return aggregated.statistics("critic", diagnose)

    def _update_actor(self, batch: Transition, alpha: Tensor, diagnose: bool) -> Stats:
        noise = self.draw(batch, self.actor_draws)
        aggregated = self.actor.aggregate(self._actor_gradients(batch, alpha, noise))
        self.actor.step(aggregated)
        return aggregated.statistics("actor", diagnose)

    def _noise(self, tasks: int, rows: int) -> Tensor:
        shape = (tasks, rows, self.spec.action_size)
        return torch.randn(shape, generator=self.generator, device=self.tasks.device)

    def parameter_counts(self) -> dict[str, int]:
        """Trained parameters by part; target critics are copies and not counted."""
        return {
            "actor": self.actor.network.num_parameters(),
            "critics": self.critic.network.num_parameters(),
            "temperatures": self.temperature.log_alpha.numel(),
        }

    def _parts(self) -> dict[str, Any]:
        return {
            "actor": self.actor,
            "critic": self.critic,
            "target_critic": self.target_critic,
            "temperature": self.temperature,
            "rewards": self.rewards,
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning changes."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, for the same suite, networks and aggregators."""
        for name, learner in (("actor", self.actor), ("critic", self.critic)):
            for key, parameter in learner.network.named_parameters():
                found = list(state[name]["network"][key].shape)
                require(
                    list(parameter.shape) == found,
                    f"agent state must come from the same suite and networks: the {name}'s {key} parameters "
                    f"have shape {list(parameter.shape)}, those of the state {found}",
                )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
