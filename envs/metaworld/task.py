"""Steps one Meta-World task as an environment. Worker processes import this, so it imports no PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from mtrl.envs.metaworld.goals import draw_goals
from mtrl.envs.shared_memory import Observation, TaskStep


class MetaWorldTask:
    """Steps one Meta-World environment as a :class:`mtrl.envs.shared_memory.TaskEnv`.

    Observations are [39] float64 without a one-hot, actions [4].

    Args:
        env: of the library, or of a subclass from :func:`mtrl.envs.metaworld.fast.fast_class`.
        goals: ``metaworld.Task`` each.
        horizon: steps after which an episode is truncated.
    """

    def __init__(self, env: Any, goals: Sequence[Any], horizon: int) -> None:
        self.env = env
        self._goals = goals
        self._horizon = horizon

    def reset(self, goal: int) -> Observation:
        """Start an episode with one of the task's goals: observation [39]."""
        self.env.set_task(self._goals[goal])
        obs, _ = self.env.reset()
        return obs

    def step(self, action: NDArray[Any]) -> TaskStep:
        """Apply an action [4]; only the time limit ends an episode."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        truncated = truncated or self.env.curr_path_length >= self._horizon
        return TaskStep(obs, float(reward), terminated, truncated, bool(info["success"]))


class MetaWorldRecipe:
    """Builds environments of one task; the first one draws the goals that all of them share.

    Args:
        name: such as ``reach-v3``.
        seed: of the goals.
        reward: version, "v1" or "v2".
        horizon: steps after which an episode is truncated.
        fast: without the library's redundant work.
    """

    def __init__(self, name: str, *, seed: int, reward: str, horizon: int, fast: bool) -> None:
        self._name = name
        self._seed = seed
        self._reward = reward
        self._horizon = horizon
        self._fast = fast
        self._goals: list[Any] | None = None

    def __call__(self) -> MetaWorldTask:
        """A new environment, about 30 MB."""
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS  # here, since naming a suite needs no simulator

        from mtrl.envs.metaworld.fast import fast_class

        library_class: Any = ALL_V3_ENVIRONMENTS[self._name]
        env_class = fast_class(library_class) if self._fast else library_class
        env = env_class(reward_function_version=self._reward)
        if self._goals is None:
            self._goals = draw_goals(self._name, self._seed, env)
        return MetaWorldTask(env, self._goals, self._horizon)
