"""Looks at a Gymnasium environment once: whether it can be a task, how wide it is, and what it promises."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from traceback import extract_tb
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from mtrl.envs.gymnasium.task import FLAGS, GymnasiumTask, open_env, own_limit
from mtrl.errors import UsageError, require

STEPS = 3  # enough for most slips to show, and no matter of time


class Probe(NamedTuple):
    """What a suite must know of an environment."""

    obs_size: int
    action_low: list[float]  # [a]
    action_high: list[float]  # [a]
    horizon: int
    metadata: Mapping[str, Any]
    flagged: bool  # info says at the first step whether the task is solved
    repeatable: bool  # a seed and actions make the same episode twice
    mujoco: bool

    def space(self) -> dict[str, Any]:
        """For the manifest, by which a loaded policy pads observations and stretches actions."""
        return {"obs_size": self.obs_size, "action_low": self.action_low, "action_high": self.action_high}


def probe(name: str, options: Mapping[str, Any], horizon: int | None, most_steps: int, seed: int) -> Probe:
    """Build the environment, judge it, and play a few steps.

    Args:
        name: of the task.
        options: keyword arguments of the environment.
        horizon: steps of an episode; None takes the environment's own limit.
        most_steps: that an episode may have.
        seed: of the reset.

    Raises:
        UsageError: for an environment that cannot be a task.
    """
    try:
        with closing(open_env(name, options)) as env:
            return _examine(name, env, own_limit(name, env) if horizon is None else horizon, most_steps, seed)
    except UsageError:
        raise
    except Exception as error:  # whatever an environment may raise
        frame = extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"
        raise UsageError(
            f"tasks: {name} must build, reset and step, found {text}; options are {dict(options)}"
        ) from error


def _examine(name: str, env: gymnasium.Env, horizon: int | None, most_steps: int, seed: int) -> Probe:
    require(
        isinstance(env.observation_space, Box),
        f"the observation space of task {name} must be a Box, found {env.observation_space}; name a function "
        "of your own that wraps it, in gymnasium.wrappers.FlattenObservation for a Dict",
    )
    require(
        isinstance(env.action_space, Box),
        f"the action space of task {name} must be a Box, found {env.action_space}; the policies here choose "
        "continuous actions only",
    )
    observed: Any = env.observation_space
    acted: Any = env.action_space
    floats = np.issubdtype(acted.dtype, np.floating)
    require(
        floats and acted.is_bounded() and acted.low.size > 0,
        f"the actions of task {name} must be floating numbers with finite bounds, found {acted}; "
        "give the Box such bounds, or name a function of your own that wraps the environment",
    )
    require(observed.low.size > 0, f"the observations of task {name} must not be empty, found {observed}")
    require(
        horizon is not None,
        f"task {name} has no time limit of its own: set env.horizon, one number or one for each task",
    )
    assert horizon is not None
    require(
        1 <= horizon <= most_steps,
        f"the limit of task {name} must be from 1 to {most_steps} steps, found {horizon}; set env.horizon",
    )
    flags = _Flags(env)
    task = GymnasiumTask(flags, [seed], horizon=horizon, success_return=None, obs_size=observed.low.size)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (STEPS, acted.low.size)).astype(np.float32)
    first, second = (_play(task, actions) for _ in range(2))
    return Probe(
        obs_size=observed.low.size,
        action_low=acted.low.ravel().tolist(),
        action_high=acted.high.ravel().tolist(),
        horizon=horizon,
        metadata=env.metadata,
        flagged=flags.seen,
        repeatable=len(first) == len(second) and all(map(np.array_equal, first, second)),
        mujoco=hasattr(env.unwrapped, "mujoco_renderer"),
    )


class _Flags(gymnasium.Wrapper):
    """Notes whether info speaks of success."""

    seen = False

    def step(self, action: Any) -> Any:
        result = super().step(action)
        self.seen |= any(name in result[4] for name in FLAGS)
        return result


def _play(task: GymnasiumTask, actions: np.ndarray) -> list[Any]:
    seen = [task.reset(0)]
    for action in actions:
        step = task.step(action)
        seen.append(np.append(step.obs, np.float64(step.reward)))
        if step.terminated or step.truncated:
            break
    return seen
