"""Defines the types that cross module boundaries. K tasks, n copies of each, B samples, P parameters."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Metrics = dict[str, Tensor]


class Transition(NamedTuple):
    """A batch of transitions of every task. Observations carry no task id: the task is the first index."""

    obs: Tensor  # [K, B, O]
    action: Tensor  # [K, B, A]
    reward: Tensor  # [K, B]
    next_obs: Tensor  # [K, B, O], the true outcome of the action, never an observation after a reset
    terminated: Tensor  # [K, B] bool, true only where the task itself ended: a time limit bootstraps


class Proposal(NamedTuple):
    """Which gradients an aggregator asks for: one for each of some tasks, one for the mean of all others."""

    order: Tensor  # [K] int64, every task once; the first ``singles`` have a gradient of their own
    singles: int
    rest: bool = True  # whether the mean of the others is asked for too

    def mixing(self) -> Tensor:
        """The [R, K] with proposed = mixing @ per-task gradients; R is singles, plus 1 for the ``rest``."""
        tasks = torch.arange(self.order.shape[0], device=self.order.device)
        places = (self.order[:, None] == tasks).double()  # [K, K], a permutation
        if self.singles == self.order.shape[0] or not self.rest:
            return places[: self.singles]
        return torch.cat([places[: self.singles], places[self.singles :].mean(0, keepdim=True)])


class Layout(NamedTuple):
    """Where each parameter is in the vector [P] that an aggregator gets a gradient of for each task."""

    names: tuple[str, ...]  # as in the module; where only tensors are known their numbers
    shapes: tuple[torch.Size, ...]

    def columns(self) -> dict[str, slice]:
        """The columns of each parameter, by name."""
        ends = list(accumulate(shape.numel() for shape in self.shapes))
        return {name: slice(*pair) for name, pair in zip(self.names, pairwise([0, *ends]), strict=True)}


class ImplicitGradients(Protocol):
    """K gradients that are not kept as a matrix [K, P]."""

    @property
    def shape(self) -> torch.Size: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def bounds(self) -> Tensor:
        """Numbers [K], not finite where a gradient is not or may have a norm that overflows."""

    def gram(self) -> Tensor:
        """The inner products, float64 [K, K]."""

    def norms(self) -> Tensor:
        """The norms, float64 [K]."""

    def combine(self, weights: Tensor, usable: Tensor) -> Tensor:
        """``weights`` [K] times the gradients, over the ``usable`` [K], [P]."""


class Direction(NamedTuple):
    """What an aggregator makes of K gradients, on the scale of their mean."""

    vector: Tensor  # [P], to be *descended*, like a gradient
    weights: Tensor | None  # [K] with vector = weights @ gradients, or None where no such weights exist
    metrics: Metrics  # 0-d, or [K] by task
    usable: Tensor | None = (
        None  # [K] bool, where gradient and loss were finite; set by the aggregator's call
    )


class Step(NamedTuple):
    """One step of every environment of a suite, as host arrays."""

    next_obs: FloatArray  # [K, n, O], the outcome of the action, also where the episode ended
    reward: FloatArray  # [K, n]
    terminated: BoolArray  # [K, n], the task itself ended
    truncated: BoolArray  # [K, n], the time limit was reached
    success: BoolArray  # [K, n], at this step
    obs: FloatArray  # [K, n, O], what to act on next: next_obs, or the first one of a new episode


class SuiteSpec(NamedTuple):
    """What a learner must know of a suite of tasks."""

    task_names: tuple[str, ...]
    obs_size: int
    action_size: int
    horizon: int  # steps after which an episode is truncated
    num_goals: int  # variations of each task

    @property
    def num_tasks(self) -> int:
        return len(self.task_names)


class EvaluationStep(NamedTuple):
    """What became of the slots that were commanded, as host arrays; the other slots' entries mean nothing."""

    obs: FloatArray  # [S, O], the first one of an episode that began, the outcome of an action elsewhere
    reward: NDArray[np.float64]  # [S]
    ended: BoolArray  # [S], terminated or truncated
    success: BoolArray  # [S], at this step


class TrainingEnv(Protocol):
    """K tasks x n copies, each starting a new episode with a newly drawn goal when one ends."""

    copies: int

    def reset(self) -> FloatArray:
        """Start every episode anew: observations [K, n, O]."""

    def send(self, action: FloatArray) -> None:
        """Begin to apply actions [K, n, A] in [-1, 1]; returns before they are applied where it can."""

    def receive(self) -> Step:
        """The outcome of the actions that were sent.

        Raises:
            EpisodesLostError: if the step is lost and :meth:`reset` must follow.
            EnvironmentFailedError: if the environments cannot go on.
        """

    def state_dict(self) -> dict[str, Any]:
        """The episodes in flight and what later ones are drawn from, as arrays; between two steps only."""

    def load_state_dict(self, state: dict[str, Any]) -> FloatArray | None:
        """Go on from such a state: what to act on next [K, n, O], or None: call :meth:`reset`."""

    def summary(self) -> str:
        """Where the environments live, for a person."""

    def close(self) -> None:
        """Give up processes and memory."""


class DeviceEnv(Protocol):
    """K tasks x n copies on the learner's device, in tensors that stay where they are.

    All episodes begin and end together, so that the host knows when. :meth:`act` and :meth:`observe` only
    launch PyTorch's kernels, and can be recorded; nothing waits for the device.
    """

    copies: int
    obs: Tensor  # [K, n, O], what to act on next
    action: Tensor  # [K, n, A], to be written before a step
    next_obs: Tensor  # [K, n, O], the outcome of the action, also where the episode ended
    reward: Tensor  # [K, n]
    success: Tensor  # [K, n] bool, at this step

    @property
    def begun(self) -> bool:
        """Whether no step was made since episodes began."""

    @property
    def last(self) -> bool:
        """Whether the next step ends the episodes, by the time limit: tasks do not end by themselves."""

    def reset(self) -> Tensor:
        """Start every episode anew: ``obs``."""

    def begin_at(self, goal: Tensor) -> None:
        """Start every episode anew, with goals [K, n]."""

    def act(self) -> None:
        """Take up what is in ``action``."""

    def simulate(self) -> None:
        """Let time pass, beside what is launched before :meth:`join`; records itself where it can."""

    def join(self) -> None:
        """Have what is launched next wait until time has passed."""

    def observe(self, last: bool) -> None:
        """Write what became of the actions; begin new episodes after the ``last`` step of the old ones."""

    def state_dict(self) -> dict[str, Any]:
        """The episodes in flight and what later ones are drawn from; between two steps only."""

    def load_state_dict(self, state: dict[str, Any]) -> Tensor | None:
        """Go on from such a state: ``obs``, or None: call :meth:`reset`."""

    def summary(self) -> str:
        """Where the environments live, for a person."""

    def close(self) -> None:
        """Give up memory."""


class EvaluationEnv(Protocol):
    """S slots for episodes whose tasks and goals the evaluator chooses."""

    slots: int

    def advance(
        self, starts: Mapping[int, tuple[int, int]], actions: Mapping[int, FloatArray]
    ) -> EvaluationStep:
        """Begin episodes, slot to (task, goal), and step others, slot to action [A].

        Raises:
            EpisodesLostError: if every running episode must start again.
            EnvironmentFailedError: if the environments cannot go on.
        """

    def close(self) -> None:
        """Give up processes and memory."""


class Suite(Protocol):
    """A family of tasks that share observation and action sizes."""

    spec: SuiteSpec

    def training_env(self) -> TrainingEnv: ...

    def evaluation_env(self) -> EvaluationEnv: ...

    def describe(self) -> dict[str, Any]:
        """Facts for the run's manifest: versions, reward, horizon, goals."""


class DeviceSuite(Suite, Protocol):
    """A suite whose training environments can live on the learner's device.

    An attribute ``warning``, where there is one that is not None, is shown before training.
    """

    def worlds(self, device: torch.device, copies: int | None = None) -> DeviceEnv:
        """New environments on ``device``, with other ``copies`` than for training where given."""


class Policy(Protocol):
    """Anything that maps observations [K, n, O] to actions [K, n, A] in [-1, 1]."""

    def act(self, obs: Tensor, deterministic: bool) -> Tensor: ...


NONFINITE = "nonfinite_gradient"
NONFINITE_DIRECTION = "nonfinite_direction"


class Agent(Policy, Protocol):
    """A learner as the training loop sees it."""

    def update(self, batch: Transition, diagnose: bool) -> Metrics:
        """Take one gradient step on all tasks and return what to log, tensors 0-d or [K].

        The loop judges by what ends in ``/loss`` and, [K] booleans, in ``/`` and :data:`NONFINITE`, which
        says whose gradients were not finite, and :data:`NONFINITE_DIRECTION`, what the aggregator made of
        them; the verdicts are not logged.
        """

    def parameter_counts(self) -> dict[str, int]: ...

    def state_dict(self) -> dict[str, Any]:
        """All that updates change; the tensors themselves, no copies, so that an update can be undone."""

    def load_state_dict(self, state: dict[str, Any]) -> None: ...
