"""A task that only counts, and can be built in a worker process."""

import os
import signal
import time

import numpy as np


class CountingTask:
    """Observation: goal, time, last action. Ends by time limit after 3 steps, or by itself on action 9.

    Action 7 kills the process, action 8 raises, action 6 takes a tenth of a second.
    """

    def __init__(self):
        self.goals = []
        self.reward = 1.0
        self.breaks_at = None

    def reset(self, goal):
        self.goals.append(goal)
        self.time = 0
        return np.array([goal, 0.0, 0.0])

    def step(self, action):
        self.time += 1
        if self.time == self.breaks_at or action[0] == 8:
            raise ArithmeticError(f"broken at {self.time}")
        if action[0] == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        if action[0] == 6:
            time.sleep(0.1)
        obs = np.array([self.goals[-1], self.time, action[0]])
        return obs, self.reward, bool(action[0] == 9), self.time >= 3, self.time == 2


def unbuildable():
    raise OSError("no such model")
