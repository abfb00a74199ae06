import numpy as np
import pytest
import torch

from mtrl.errors import UsageError
from mtrl.evaluation import evaluate


class CountingEnv:
    """Task k succeeds at step goal + k + 1, and never for the last goal; ten steps at most."""

    def __init__(self, spec):
        self.spec = spec
        self.visits = []
        self.steps = [0] * spec.num_tasks

    def reset(self, task, goal):
        self.visits.append((task, goal))
        self.steps[task] = 0
        return np.full(self.spec.obs_size, goal, dtype=np.float32)

    def step(self, task, action):
        assert action.shape == (self.spec.action_size,)
        self.steps[task] += 1
        goal = [goal for visited, goal in self.visits if visited == task][-1]
        succeeded = goal < self.spec.num_goals - 1 and self.steps[task] == goal + task + 1
        obs = np.zeros(self.spec.obs_size, dtype=np.float32)
        return obs, 1.0, self.steps[task] == self.spec.horizon, succeeded


class ZeroPolicy:
    def __init__(self, spec):
        self.spec = spec

    def act(self, obs, deterministic):
        assert deterministic
        return torch.zeros(*obs.shape[:2], self.spec.action_size)


def test_every_goal_is_visited_once_and_episodes_end_at_success(spec):
    env = CountingEnv(spec)
    result = evaluate(ZeroPolicy(spec), env, spec, spec.num_goals, torch.device("cpu"))
    goals = range(spec.num_goals)
    assert sorted(env.visits) == [(task, goal) for task in range(3) for goal in goals]
    assert result.success.tolist() == [[True, True, True, False]] * 3
    expected = [[task + 1, task + 2, task + 3, spec.horizon] for task in range(3)]
    assert result.returns.tolist() == expected
    assert result.mean_success == 0.75
    assert result.as_record()["success"] == {"a": 0.75, "b": 0.75, "c": 0.75}


def test_more_episodes_than_goals_are_refused(spec):
    with pytest.raises(UsageError, match="4 goals"):
        evaluate(ZeroPolicy(spec), CountingEnv(spec), spec, 5, torch.device("cpu"))
