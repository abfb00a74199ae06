"""Draws the goals that Meta-World would draw for a task, without the simulation it spends on them."""

from __future__ import annotations

import pickle
from types import MethodType
from typing import Any

import numpy as np

GOALS_PER_TASK = 50


def draw_goals(name: str, seed: int, env: Any = None) -> list[Any]:
    """The training goals of ``metaworld.MT1(name, seed)``: 50 ``metaworld.Task`` for ``env.set_task``.

    They depend on the task and the seed alone, where the library's MT10 and MT50 make a task's goals
    depend on the tasks before it. The result is the library's, bit for bit, in about a fifth of the time:
    a goal is drawn in a reset, and resets spend their time on simulating the hand's way back to its
    start, which no goal depends on. The global numpy generator is neither read nor changed.

    Args:
        name: of the task.
        seed: of the goals.
        env: an environment of the task to draw with, which saves building one. It must be given a task and be
            reset before it is used.
    """
    import mujoco
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS
    from metaworld.types import Task

    env_class = ALL_V3_ENVIRONMENTS[name]
    env = env_class() if env is None else env
    env._freeze_rand_vec = False  # draw at each reset ...
    env.seeded_rand_vec = True  # ... from this generator,
    env.np_random = np.random.RandomState(seed)  # whose stream is that of np.random.seed
    env._set_task_called = True

    def place_hand(self: Any, steps: int = 50) -> None:
        mujoco.mj_forward(self.model, self.data)
        self.init_tcp = self.tcp_center

    env._reset_hand = MethodType(place_hand, env)  # of this instance only
    goals = []
    for _ in range(GOALS_PER_TASK):
        env.reset()
        data = {"rand_vec": env._last_rand_vec, "env_cls": env_class, "partially_observable": False}
        goals.append(Task(env_name=name, data=pickle.dumps(data)))
    del env._reset_hand
    return goals
