"""Applies a trained policy outside training: raw observations in, actions out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from mtrl.errors import require
from mtrl.gradients.flat_module import FlatModule

Array = TypeVar("Array", Tensor, NDArray)


class Distribution(Protocol):
    """Turns an actor's outputs into actions."""

    def mode(self, outputs: Tensor) -> Tensor:
        """The actions [..., A] without noise."""

    def sample(self, outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A sample [..., A] for standard normal noise [..., A], and its log-density [...]."""


class TaskActor(nn.Module):
    """The actor of K tasks, applied to observations of one of them.

    Training evaluates all K tasks in one batched product; a program that uses the policy has one task at hand
    and pays for one.

    Args:
        network: the actor's network for all tasks.
        num_tasks: K.
    """

    tasks: Tensor

    def __init__(self, network: FlatModule, num_tasks: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("tasks", torch.eye(num_tasks, device=network.shared.device))  # [K, K]

    def forward(self, obs: Tensor, task: Tensor) -> Tensor:
        """Outputs [N, 2A] for raw observations [N, O] of any floating type and a task's index, int64 []."""
        index = task.reshape(1)
        own = self.network.own.index_select(0, index)[0]  # [Q]
        one_hot = self.tasks.index_select(0, index)[0]  # [K]
        inputs = obs.to(self.network.shared.dtype)
        outputs: Tensor = self.network.apply_with(self.network.shared, own, one_hot, inputs)
        return outputs


class DeterministicPolicy(nn.Module):
    """Computes the actions without noise, as the one module that an export writes.

    Args:
        actor: computes the parameters of a distribution.
        distribution: turns them into actions.
    """

    def __init__(self, actor: TaskActor, distribution: Distribution) -> None:
        super().__init__()
        self.actor = actor
        self._distribution = distribution

    def forward(self, obs: Tensor, task: Tensor) -> Tensor:
        """Actions [N, A] in [-1, 1] for raw observations [N, O] and a task's index, int64 []."""
        return self._distribution.mode(self.actor(obs, task))


class TaskSpace(NamedTuple):
    """The sizes and bounds of one task, where they are not those of the networks."""

    obs_size: int  # o, at most O
    action_low: tuple[float, ...]  # [a], a at most A
    action_high: tuple[float, ...]  # [a]


class RunPolicy:
    """Acts as a run has learned to; :func:`mtrl.load` makes it.

    Attributes:
        task_names: K names, in the order of the run.
        obs_size: O of the networks.
        action_size: A of the networks.
        step: environment steps of one task at the checkpoint.
        spaces: by task, where tasks have sizes and bounds of their own; else empty.
    """

    def __init__(
        self,
        actor: TaskActor,
        distribution: Distribution,
        task_names: tuple[str, ...],
        obs_size: int,
        action_size: int,
        step: int,
        spaces: Mapping[str, TaskSpace] | None = None,
    ) -> None:
        self.actor = actor
        self.distribution = distribution
        self.task_names = task_names
        self.obs_size = obs_size
        self.action_size = action_size
        self.step = step
        self.spaces = dict(spaces or {})

    @torch.no_grad()
    def act(
        self,
        obs: Array,
        task: str,
        *,
        deterministic: bool = True,
        generator: torch.Generator | None = None,
    ) -> Array:
        """Actions for what the environment of ``task`` returned, in [-1, 1] or its own bounds if it has some.

        Args:
            obs: raw observation [O], or a batch [N, O], NumPy or PyTorch, of any floating type; for a task of
                :attr:`spaces` of its own size, flat.
            task: one of :attr:`task_names`.
            deterministic: take the policy's mode; False draws a sample.
            generator: source of the sample, on the policy's device.

        Returns:
            [A] or [N, A] in float32, a task's own size again: an array for an array, a tensor on the same
            device for a tensor.

        Raises:
            UsageError: for an unknown task, an observation of another size or one that is not finite, and a
                sample without a generator.
        """
        require(
            task in self.task_names,
            f"task must be one that the run learned, {', '.join(self.task_names)}; found {task!r}",
        )
        require(
            deterministic or generator is not None,
            "deterministic=False draws a sample: give a torch.Generator as generator",
        )
        space = self.spaces.get(task)
        size = self.obs_size if space is None else space.obs_size
        given = obs if isinstance(obs, Tensor) else torch.from_numpy(np.array(obs))
        require(
            given.ndim in (1, 2) and given.shape[-1] == size,
            f"obs must have shape [{size}] or [N, {size}], found {list(given.shape)}; "
            "it is the environment's observation without the task's one-hot",
        )
        require(
            given.is_floating_point(),
            f"obs must be of a floating type, found {given.dtype}; convert it first",
        )
        require(bool(given.isfinite().all()), f"obs must be finite, found NaN or infinity, task {task}")
        own = given.to(self.actor.tasks.device).reshape(-1, size)  # [N, o]
        action = self._act(pad(own, (0, self.obs_size - size)), task, deterministic, generator)  # [N, A]
        if space is not None:
            action = _stretched(action, space)  # [N, a]
        action = action.reshape(*given.shape[:-1], action.shape[-1]).to(given.device)
        return action if isinstance(obs, Tensor) else np.asarray(action)

    @torch.no_grad()
    def act_padded(self, obs: Tensor, task: str) -> Tensor:
        """The networks' own actions without noise, [N, A] in [-1, 1], for observations [N, O]."""
        return self._act(obs.to(self.actor.tasks.device), task, True, None)

    def _act(self, obs: Tensor, task: str, deterministic: bool, generator: torch.Generator | None) -> Tensor:
        device = self.actor.tasks.device
        outputs = self.actor(obs, torch.tensor(self.task_names.index(task), device=device))  # [N, 2A]
        if deterministic:
            return self.distribution.mode(outputs)
        shape = (outputs.shape[0], self.action_size)
        noise = torch.randn(shape, generator=generator, device=device)
        return self.distribution.sample(outputs, noise)[0]


def _stretched(action: Tensor, space: TaskSpace) -> Tensor:
    """From [N, A] in [-1, 1] to [N, a] within a task's bounds."""
    low, high = (torch.tensor(bound, dtype=torch.float64) for bound in (space.action_low, space.action_high))
    middle, half = ((low / 2 + high / 2), (high / 2 - low / 2))
    own = action[:, : len(low)]
    stretched = middle.to(own) + half.to(own) * own
    return torch.minimum(torch.maximum(stretched, low.to(own)), high.to(own))
