"""Small classes with Gymnasium's interface: tasks as a user writes them, and some that cannot be tasks."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete


class Echo(gymnasium.Env):
    """Observation [3]: a number drawn at the reset, one drawn at each step, the action. Ends at action 2."""

    observation_space = Box(-np.inf, np.inf, (3,))
    action_space = Box(0.0, 2.0, (1,))
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode=None, scale=1.0):
        self.render_mode = render_mode
        self.scale = scale

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.start = self.np_random.random()
        return np.array([self.start, 0, 0], np.float32), {}

    def step(self, action):
        obs = np.array([self.start, self.np_random.random(), action[0]], np.float32)
        info = {"is_success": bool(action[0] > 1.5)}
        return obs, self.scale * float(action[0]), bool(action[0] == 2), False, info

    def render(self):
        return np.full((20, 40, 3), 200, np.uint8)


class Wide(gymnasium.Env):
    """Observation [2, 3], actions [2, 1] of unlike bounds, no word of success. Counts its steps."""

    observation_space = Box(-np.inf, np.inf, (2, 3), np.float64)
    action_space = Box(np.array([[-1.0], [10.0]]), np.array([[1.0], [30.0]]), dtype=np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.zeros((2, 3)), {}

    def step(self, action):
        self.time += 1
        obs = np.array([[self.time, 0, 0], [*action.ravel(), 0]])
        return obs, 1.0, False, self.time >= 5, {}


def limited() -> gymnasium.Env:
    return gymnasium.wrappers.TimeLimit(Wide(), 3)


def unannotated():
    return Wide()


class Drifting(Echo):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None)


class Late(Echo):
    """Breaks after the steps that a suite looks at."""

    def step(self, action):
        obs, *rest = super().step(action)
        self.steps = getattr(self, "steps", 0) + 1
        return (obs if self.steps < 9 else obs * np.nan), *rest


class Choosing(Echo):
    action_space = Discrete(3)


class Named(Echo):
    observation_space = Dict({"place": Box(0.0, 1.0, (2,))})


class Unbounded(Echo):
    action_space = Box(-np.inf, np.inf, (1,))


class Whole(Echo):
    action_space = Box(0, 3, (1,), np.int64)


class Broken(Echo):
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.array([0, np.nan, 0], np.float32), {}


class Short(Echo):
    def step(self, action):
        obs, *rest = super().step(action)
        return obs[:2], *rest


class Raising(Echo):
    def step(self, action):
        raise KeyError("goal")


class Blind(Echo):
    metadata = {"render_modes": []}  # noqa: RUF012
