"""Steps one Gymnasium environment as a task. Worker processes import this module, so no PyTorch is here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_origin, get_type_hints

import gymnasium
import numpy as np
from numpy.typing import NDArray

from mtrl.envs.shared_memory import Observation, TaskStep
from mtrl.errors import UsageError, require
from mtrl.lookup import find_named, import_named

CLASS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")  # MODULE.CLASS; Gymnasium's own names have no dots
FLAGS = ("success", "is_success")  # in info, the first that is there counts
EXPECTED = "a class derived from gymnasium.Env, or a function annotated to return one"


class GymnasiumTask:
    """Steps one Gymnasium environment as a :class:`mtrl.envs.shared_memory.TaskEnv`.

    A goal is the seed of a reset.

    Observations are flat, in float32, and end in zeros up to the suite's size. Of an action [A] in [-1, 1]
    the environment gets its own first entries, stretched to its bounds.

    Args:
        env: with box spaces, the one of actions bounded.
        seeds: of resets, one per goal.
        horizon: steps after which an episode is truncated, if the environment does not end it earlier.
        success_return: a return that makes an episode a success at its last step; None: ``info`` says, step
            by step, and where it does not there is none.
        obs_size: O of the suite.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        seeds: Sequence[int],
        *,
        horizon: int,
        success_return: float | None,
        obs_size: int,
    ) -> None:
        self.env = env
        self._seeds = seeds
        self._horizon = horizon
        self._success_return = success_return
        self._obs_size = obs_size
        space: Any = env.action_space
        self._space = space
        self._low, self._high = space.low.ravel(), space.high.ravel()  # [a]
        self._middle, self._half = stretch(space)
        self._own_size = int(np.prod(env.observation_space.shape or ()))
        self._time, self._return = 0, 0.0

    def reset(self, goal: int) -> Observation:
        """Start an episode with one of the seeds: observation [O]."""
        self._time, self._return = 0, 0.0
        obs, _ = self.env.reset(seed=int(self._seeds[goal]))
        return self._padded(obs)

    def step(self, action: NDArray[np.float32]) -> TaskStep:
        """Apply an action [A] in [-1, 1]."""
        stretched = (self._middle + self._half * action[: self._low.size]).astype(self._low.dtype)
        stretched = np.minimum(np.maximum(stretched, self._low), self._high)  # as rounding may leave the box
        obs, reward, terminated, truncated, info = self.env.step(stretched.reshape(self._space.shape))
        self._time += 1
        self._return += float(reward)
        terminated = bool(terminated)
        truncated = bool(truncated) or (self._time >= self._horizon and not terminated)
        if self._success_return is None:
            success = bool(next((info[name] for name in FLAGS if name in info), False))
        else:
            success = (terminated or truncated) and self._return >= self._success_return
        return TaskStep(self._padded(obs), float(reward), terminated, truncated, success)

    def _padded(self, obs: Any) -> Observation:
        own = np.asarray(obs, np.float32).ravel()  # [o]
        if own.size != self._own_size:
            raise ValueError(
                f"the observation must have {self._own_size} entries, as its space says, found {own.size}"
            )
        if not np.isfinite(own).all():
            entry = int(np.flatnonzero(~np.isfinite(own))[0])
            raise FloatingPointError(
                f"the observation must be finite, found {own[entry]} at entry {entry}, step {self._time} of "
                "an episode; mend the environment, or end the episode before that"
            )
        padded = np.zeros(self._obs_size, np.float32)  # [O]
        padded[: own.size] = own
        return padded


@dataclass(frozen=True)
class GymnasiumRecipe:
    """Builds environments of one task.

    Args:
        name: Gymnasium's id, or MODULE.CLASS.
        options: keyword arguments of the environment.
        seeds: of resets, one per goal.
        horizon: see :class:`GymnasiumTask`, as for the rest.
        success_return: or None.
        obs_size: O of the suite.
    """

    name: str
    options: Mapping[str, Any]
    seeds: tuple[int, ...]
    horizon: int
    success_return: float | None
    obs_size: int

    def __call__(self, **drawing: str) -> GymnasiumTask:
        """A new environment; ``render_mode`` for one to be drawn."""
        return GymnasiumTask(
            open_env(self.name, self.options, **drawing),
            self.seeds,
            horizon=self.horizon,
            success_return=self.success_return,
            obs_size=self.obs_size,
        )


def stretch(space: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Middle [a] and half-width [a] of a box, by which actions in [-1, 1] are stretched to it."""
    low, high = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)
    return (low / 2 + high / 2).astype(np.float32), (high / 2 - low / 2).astype(np.float32)


def is_class(name: str) -> bool:
    """Whether ``name`` stands for a class of a module rather than for one of Gymnasium's ids."""
    return CLASS.fullmatch(name) is not None and name not in gymnasium.registry


def open_env(name: str, options: Mapping[str, Any], **drawing: str) -> gymnasium.Env:
    """A new environment by Gymnasium's id, by MODULE:ID, or by MODULE.CLASS; without the id's time limit.

    Raises:
        UsageError: for a name that stands for no environment.
    """
    if is_class(name):
        found = find_named(name, "tasks", EXPECTED)
        require(_makes_env(found), f"tasks must be {EXPECTED}, found {name!r}")
        return found(**options, **drawing)
    module, _, identifier = name.rpartition(":")
    if module:
        import_named(module, name, "tasks", "MODULE:ID")  # which registers the id
    try:
        gymnasium.spec(identifier)
    except gymnasium.error.Error as error:
        raise UsageError(
            f"tasks must be Gymnasium's ids or MODULE.CLASS of your own, found {name!r}: {error}; "
            "an id that a package registers when it is imported is written PACKAGE:ID"
        ) from error
    # The limit is the suite's to keep, and the checker would look at every step.
    return gymnasium.make(
        identifier, max_episode_steps=-1, disable_env_checker=True, **dict(options), **drawing
    )


def own_limit(name: str, env: gymnasium.Env) -> int | None:
    """The time limit that an environment is registered with, or wrapped in, if any."""
    if not is_class(name):
        return gymnasium.spec(name.rpartition(":")[2]).max_episode_steps
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, gymnasium.wrappers.TimeLimit):
            return env._max_episode_steps
        env = env.env
    return None


def _makes_env(found: Any) -> bool:
    kind = found
    if inspect.isfunction(found):
        try:
            kind = get_type_hints(found).get("return")
        except (NameError, TypeError):
            return False  # an annotation that is only there for a type checker
    kind = get_origin(kind) or kind
    return isinstance(kind, type) and issubclass(kind, gymnasium.Env)
