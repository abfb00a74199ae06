import numpy as np
import pytest
import torch

from mtrl.errors import EpisodesLostError, UsageError
from mtrl.training.evaluation import evaluate
from mtrl.types import EvaluationStep


class CountingEnv:
    """Task k succeeds at step goal + k + 1, and never for the last goal; ten steps at most."""

    def __init__(self, spec, slots=3, loses_at=None):
        self.spec = spec
        self.slots = slots
        self.loses_at = loses_at
        self.visits = []
        self.most = 0  # episodes of one task at a time
        self.rounds = 0
        self.running = {}

    def advance(self, starts, actions):
        assert not set(starts) & set(actions)
        self.rounds += 1
        if self.rounds == self.loses_at:
            self.running = {}
            raise EpisodesLostError("a worker was killed")
        obs = np.zeros((self.slots, self.spec.obs_size), np.float32)
        reward = np.ones(self.slots)
        ended, success = np.zeros((2, self.slots), np.bool_)
        for slot, action in actions.items():
            assert action.shape == (self.spec.action_size,)
            task, goal, steps = self.running[slot]
            steps += 1
            self.running[slot] = (task, goal, steps)
            success[slot] = goal < self.spec.num_goals - 1 and steps == goal + task + 1
            ended[slot] = steps == self.spec.horizon
            if ended[slot] or success[slot]:
                del self.running[slot]
        for slot, (task, goal) in starts.items():
            self.visits.append((task, goal))
            self.running[slot] = (task, goal, 0)
        tasks = [task for task, _, _ in self.running.values()]
        self.most = max([self.most, *(tasks.count(task) for task in tasks)])
        return EvaluationStep(obs, reward, ended, success)


class ZeroPolicy:
    def __init__(self, spec):
        self.spec = spec

    def act(self, obs, deterministic):
        assert deterministic
        return torch.zeros(*obs.shape[:2], self.spec.action_size)


@pytest.mark.parametrize("slots", [1, 3, 8, 20])
def test_every_goal_is_visited_once_and_episodes_end_at_success(spec, slots):
    env = CountingEnv(spec, slots)
    result = evaluate(ZeroPolicy(spec), env, spec, spec.num_goals, torch.device("cpu"))
    goals = range(spec.num_goals)
    assert sorted(env.visits) == [(task, goal) for task in range(3) for goal in goals]
    assert result.success.tolist() == [[True, True, True, False]] * 3
    expected = [[task + 1, task + 2, task + 3, spec.horizon] for task in range(3)]
    assert result.returns.tolist() == expected
    assert result.mean_success == 0.75
    assert result.as_record()["success"] == dict.fromkeys(spec.task_names, 0.75)


def test_more_episodes_than_goals_are_refused(spec):
    with pytest.raises(UsageError, match="4 goals"):
        evaluate(ZeroPolicy(spec), CountingEnv(spec), spec, 5, torch.device("cpu"))


def test_a_slot_takes_over_goals_of_the_task_with_most_to_go(spec):
    goals = 40
    env = CountingEnv(spec._replace(num_goals=goals, horizon=40))
    # Task 0 ends each episode after one step, the others never: without help its slot would stand idle.
    env.running = {}
    original = env.advance

    def quick(starts, actions):
        step = original(starts, actions)
        for slot in actions:
            if slot in env.running and env.running[slot][0] == 0:
                step.success[slot] = True
                del env.running[slot]
        return step

    env.advance = quick
    evaluate(ZeroPolicy(spec), env, env.spec, goals, torch.device("cpu"))
    assert sorted(env.visits) == [(task, goal) for task in range(3) for goal in range(goals)]
    assert env.most > 1


def test_lost_episodes_start_again_and_leave_no_trace_in_the_result(spec):
    said = []
    device = torch.device("cpu")
    undisturbed = evaluate(ZeroPolicy(spec), CountingEnv(spec), spec, 4, device)
    for round_number in (1, 2, 5):
        env = CountingEnv(spec, loses_at=round_number)
        result = evaluate(ZeroPolicy(spec), env, spec, 4, device, said.append)
        np.testing.assert_array_equal(result.returns, undisturbed.returns)
        np.testing.assert_array_equal(result.success, undisturbed.success)
    assert said == ["a worker was killed"] * 3
