"""Checks what environments and policies hand to the training loop, and names the class that broke it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mtrl.errors import DivergenceError, EnvironmentFailedError, name_of
from mtrl.training.blame import cause
from mtrl.types import FloatArray, Step, SuiteSpec


class Handovers:
    """Knows the shapes that all arrays between environments and policy have.

    Args:
        spec: the suite's sizes.
        copies: n, of each task's environment.
        suite: whose environments they are.
        agent: whose actions.
    """

    def __init__(self, spec: SuiteSpec, copies: int, suite: object, agent: object) -> None:
        self.spec = spec
        self._suite, self._policy = name_of(suite), agent
        self._foreign = not self._suite.startswith("mtrl.")
        each = (spec.num_tasks, copies)
        self._obs, self._action = (*each, spec.obs_size), (*each, spec.action_size)
        self._shapes = Step(self._obs, each, each, each, each, self._obs)  # type: ignore[arg-type]

    def observed(self, obs: FloatArray, step: int) -> FloatArray:
        """Check observations [K, n, O] of episodes that begin."""
        self._require_shape("reset()", "observations", obs, self._obs)
        self._require_finite("observation", obs, step)
        return obs

    def stepped(self, found: Step, step: int) -> Step:
        """Check what became of actions."""
        for name, array, shape in zip(Step._fields, found, self._shapes, strict=True):
            if np.shape(array) != shape:
                self._require_shape("receive()", name, array, shape)  # type: ignore[arg-type]
        self._require_finite("observation", found.next_obs, step)
        self._require_finite("reward", found.reward, step)
        if found.obs is not found.next_obs:
            self._require_finite("observation", found.obs, step)
        return found

    def acted(self, action: FloatArray, step: int) -> FloatArray:
        """Check actions [K, n, A]."""
        if action.shape != self._action:
            raise EnvironmentFailedError(
                f"step {step}: {name_of(self._policy)}.act must return actions of shape {list(self._action)}"
                f", tasks, copies and sizes, found {list(action.shape)}"
            )
        if not np.isfinite(action).all():
            k, copy, entry = np.argwhere(~np.isfinite(action))[0].tolist()
            raise DivergenceError(
                f"step {step}: task {self.spec.task_names[k]}, copy {copy}: the action must be finite, found "
                f"{action[k, copy, entry]} for an observation that is; {cause(self._policy, ['actor'], True)}"
            )
        return action

    @contextmanager
    def named(self) -> Iterator[None]:
        """Add the suite's class to what its environments fail with, where it is not this project's."""
        try:
            yield
        except (EnvironmentFailedError, FloatingPointError) as error:
            if not self._foreign or isinstance(error, DivergenceError) or self._suite in str(error):
                raise
            raise type(error)(f"{error} (environments of {self._suite})") from error

    def _require_shape(self, method: str, what: str, array: Any, shape: tuple[int, ...]) -> None:
        if np.shape(array) != shape:
            raise EnvironmentFailedError(
                f"{self._suite}: {method} of its environments must give {what} of shape {list(shape)}, as "
                f"its spec and copies say, found {list(np.shape(array))}"
            )

    def _require_finite(self, what: str, array: FloatArray, step: int) -> None:
        if np.isfinite(array).all():
            return
        place = np.argwhere(~np.isfinite(array))[0].tolist()
        entry = f" at entry {place[2]} of {array.shape[2]}" if len(place) > 2 else ""
        raise FloatingPointError(
            f"step {step}: task {self.spec.task_names[place[0]]}, copy {place[1]}: the {what} must be "
            f"finite, found {array[tuple(place)]}{entry}; the simulation or the code of the task broke"
        )
