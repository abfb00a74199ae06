"""Learns K tasks by soft actor-critic, passing the tasks' gradients through aggregators."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import vmap

from mtrl.agents.averaging import AVERAGED, follow
from mtrl.agents.distributions import TanhNormal
from mtrl.agents.learner import Learner, Scope, StepOptions
from mtrl.agents.losses import TaskBatch, TaskLosses
from mtrl.agents.networks import Build, Layers, OneHotMLP, Sizes
from mtrl.agents.rewards import RewardScale
from mtrl.agents.temperature import Temperature
from mtrl.agents.trial import flat_network
from mtrl.agents.values import ScalarValue, Value
from mtrl.aggregators import Aggregator
from mtrl.aggregators.length import is_short
from mtrl.errors import require
from mtrl.gradients.choice import Gradients
from mtrl.gradients.per_task import TaskGradients
from mtrl.training.compiling import Compiler
from mtrl.types import Metrics, SuiteSpec, Transition
from mtrl.validation import require_choice, require_number

PAPERS_NETWORK = partial(OneHotMLP, hidden=(400, 400, 400))


class SAC:
    """Trains an actor and a pair of critics on K tasks.

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
        actor_polyak: the share of the actor that moves into an average at each update, which acts without
            noise: more evenly than what one update left (Polyak and Juditsky, 1992, with geometric weights).
            It begins with the initial weights. Or None.
        temperature: one "per_task" or one "shared".
        initial_temperature: α at the start.
        target_entropy: per task, in nats; None stands for −A.
        task_weights: of the losses: "uniform", or by "temperature": K softmax(−α), which favours tasks
            whose policy has become certain (Yang et al., NeurIPS 2020, section 4.3).
        reward_scale: factor on the rewards of a batch, one or one for each task; small values are learnt
            sooner than large ones.
        normalize_rewards: divide each task's rewards by the root of their running mean square.
    """

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
        actor_polyak: float | None = None,
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
        if actor_polyak is not None:
            require_number("actor_polyak", actor_polyak, above=0, high=1, remedy="or null for no average")
        require_choice("layer_norm", layer_norm, ("none", "critic", "both"))
        require_choice("task_weights", task_weights, ("uniform", "temperature"))
        require(callable(network), f"network must make one, found {network!r}; give network._target_")
        require(
            critic_network is None or callable(critic_network),
            f"critic_network must be null or make a network, found {critic_network!r}",
        )
        require(
            value is None or hasattr(value, "errors"),
            f"value must be null or an object, found {value!r}",
        )
        self.spec = spec
        self.polyak, self.actor_polyak = polyak, actor_polyak
        self.weighted = task_weights == "temperature"
        self.generator = generator
        self.draw = partial(torch.randn, generator=generator, device=device)  # all noise of the policy
        self.tasks = torch.eye(spec.num_tasks, device=device)  # [K, K], the one-hot task ids
        self.value = ScalarValue() if value is None else value
        self.policy = TanhNormal(log_std)
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
        actor = flat_network(network, sizes, layers, "agent.network")
        layers = Layers(device, generator, layer_norm in ("critic", "both"))
        inputs = spec.obs_size + spec.action_size
        sizes = Sizes(spec.task_names, inputs, self.value.outputs, spec.action_size)
        place = "agent.network" if critic_network is None else "agent.critic_network"
        critic = flat_network(critic_network or network, sizes, layers, place, twins=True)
        self.averaged_actor = None if actor_polyak is None else copy.deepcopy(actor)
        self.actor = Learner(actor, actor_aggregator, options)
        self.critic = Learner(critic, critic_aggregator, options)
        self.target_critic = copy.deepcopy(critic)
        self.losses = TaskLosses(actor, critic, self.target_critic, self.policy, self.value, discount)

    def accelerate(self, compiler: Compiler | None, dtype: torch.dtype | None, chunk: int | None) -> None:
        """Choose how updates are computed, see :class:`mtrl.training.compiling.Accelerable`.

        Compiled is all of :meth:`learn`, where the aggregators are short enough for a compiler: without a
        solver, or with one that is a single operator. Elsewhere they are the critics' gradients, with their
        targets, and the actor's, two graphs, and the step that a solver repeats: unrolled, a solver takes a
        compiler many minutes. Updates that diagnose, and acting, stay as they are.
        """
        for network in (self.actor.network, self.critic.network, self.target_critic):
            network.dtype = dtype
        for learner in (self.actor, self.critic):
            learner.chunk = chunk
        for name in ("quick_learn", "critic_gradients", "actor_gradients"):
            vars(self).pop(name, None)  # what an earlier call put before the method
        if compiler is None:
            return
        if self.compiles_whole():
            self.quick_learn = compiler(self.quick_learn)  # type: ignore[method-assign]
            return
        for learner in (self.actor, self.critic):
            learner.aggregator.compile_solvers(compiler)
        for name in ("critic_gradients", "actor_gradients"):
            setattr(self, name, compiler(getattr(self, name)))

    def compiles_whole(self) -> bool:
        """Whether :meth:`learn` is one program that a compiler masters."""
        return all(is_short(learner.aggregator, self.tasks.device) for learner in (self.actor, self.critic))

    def choose_gradients(self, wanted: Gradients) -> None:
        """Choose how the tasks' gradients are kept, see :mod:`mtrl.gradients.choice`."""
        for learner in (self.actor, self.critic):
            learner.choose_gradients(wanted)

    def describe_gradients(self) -> str:
        """Say how they are kept, in one line."""
        actor, critics = self.actor.describe_gradients(), self.critic.describe_gradients()
        both = f"actor and critics: {actor}" if actor == critics else f"actor: {actor}; critics: {critics}"
        return f"gradients of {both}"

    @torch.no_grad()
    def act(self, obs: Tensor, deterministic: bool) -> Tensor:
        """Choose actions [K, n, A] in [-1, 1] for observations [K, n, O]."""
        averaged = self.averaged_actor if deterministic else None
        outputs = (averaged or self.actor.network)(self.tasks, obs)  # [K, n, 2A]
        if deterministic:
            return self.policy.mode(outputs)
        return self.policy.sample(outputs, self.draw(*obs.shape[:2], self.spec.action_size))[0]

    @torch.no_grad()
    def update(self, batch: Transition, diagnose: bool) -> Metrics:
        """Take one step with critics, actor, temperatures and targets.

        Args:
            batch: fields [K, B, ...].
            diagnose: add the conflict metrics of both aggregations, at the cost of a Gram matrix each.

        Returns:
            Statistics by name, 0-d or [K], on the device.
        """
        data = self.task_batch(batch)
        return self.learn(data, True) if diagnose else self.quick_learn(data)

    def quick_learn(self, data: TaskBatch) -> Metrics:
        """Take the step without diagnosis: what nearly all updates do, and is compiled."""
        return self.learn(data, False)

    def learn(self, data: TaskBatch, diagnose: bool) -> Metrics:
        """Take the step on what :meth:`task_batch` gathered."""
        metrics = self.update_critics(data, diagnose)
        metrics |= self.update_actor(data, diagnose)
        self.temperature.step(metrics["actor/entropy"])
        follow(self.target_critic, self.critic.network, self.polyak)
        if self.averaged_actor is not None and self.actor_polyak is not None:
            follow(self.averaged_actor, self.actor.network, self.actor_polyak)
        return metrics | {"temperature": data.alpha}

    def task_batch(self, batch: Transition, next_noise: Tensor | None = None) -> TaskBatch:
        """Gather what one update reads; the noise is drawn here, outside of what is compiled.

        Args:
            batch: fields [K, B, ...].
            next_noise: of the targets' actions, [K, B, A]; drawn if left out.
        """
        num_tasks, shape = len(self.tasks), batch.action.shape
        alpha = self.temperature.log_alpha.detach().exp().expand(num_tasks)  # [K]
        return TaskBatch(
            task=self.tasks,
            obs=batch.obs,
            action=batch.action,
            reward=self.rewards(batch.reward) if self.rewards.changes else batch.reward,
            next_obs=batch.next_obs,
            terminated=batch.terminated,
            next_noise=self.draw(shape) if next_noise is None else next_noise,
            noise=self.draw(shape),
            alpha=alpha,
            weight=num_tasks * (-alpha).softmax(0) if self.weighted else torch.ones_like(alpha),
        )

    def update_critics(self, data: TaskBatch, diagnose: bool) -> Metrics:
        """Move the critics towards the targets."""
        aggregated = self.critic.aggregate(self.critic_gradients(data))
        self.critic.step(aggregated)
        return aggregated.metrics("critic", diagnose)

    def update_actor(self, data: TaskBatch, diagnose: bool) -> Metrics:
        """Move the actor up the critics' values."""
        aggregated = self.actor.aggregate(self.actor_gradients(data))
        self.actor.step(aggregated)
        return aggregated.metrics("actor", diagnose)

    def critic_gradients(self, data: TaskBatch) -> TaskGradients:
        """Compute the gradients of the tasks' critic losses; the target critics give the targets."""
        actor, critic_own = self.actor.network, self.target_critic.own
        target = vmap(self.losses.td_target, in_dims=(None, 0, 0, 0))(  # [K, B, ...]
            actor.shared, actor.own, critic_own, data
        )
        return self.critic.gradients(self.losses.critic_loss, (data, target), by_layers=True)

    def actor_gradients(self, data: TaskBatch) -> TaskGradients:
        """Compute the gradients of the tasks' actor losses."""
        sample = (data, self.critic.network.own)
        return self.actor.gradients(self.losses.actor_loss, sample, by_layers=True)

    def parameter_counts(self) -> dict[str, int]:
        """Count the trained parameters by part, without the target critics, which are copies."""
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
            **({} if self.averaged_actor is None else {AVERAGED: self.averaged_actor}),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return everything that learning changes."""
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
