"""The evaluator against policies whose success is known: the library's scripted experts."""

from contextlib import closing

import numpy as np
import pytest
import torch
from metaworld.policies import ENV_POLICY_MAP

from mtrl.envs.metaworld.suite import benchmark, custom
from mtrl.training.evaluation import evaluate

pytestmark = pytest.mark.filterwarnings("ignore:Constant")


class Experts:
    """One scripted expert per task, as a policy of all of them."""

    def __init__(self, task_names):
        self.experts = [ENV_POLICY_MAP[name]() for name in task_names]

    def act(self, obs, deterministic):
        assert deterministic
        actions = np.zeros((*obs.shape[:2], 4), np.float32)  # [K, n, A]
        for k, expert in enumerate(self.experts):
            for i, row in enumerate(obs[k].double().numpy()):
                if row.any():  # the others stand for nothing
                    actions[k, i] = np.clip(expert.get_action(row), -1, 1)
        return torch.from_numpy(actions)


def outcome(suite, episodes):
    with closing(suite.evaluation_env()) as env:
        return evaluate(Experts(suite.spec.task_names), env, suite.spec, episodes, torch.device("cpu"))


def test_experts_solve_tasks_whoever_steps_them():
    names = ["reach-v3", "drawer-close-v3", "pick-place-v3", "window-open-v3"]
    alone = outcome(custom(names, seed=0, workers=0), 3)
    assert alone.success.all()
    assert (alone.returns > 0).all()
    shared = outcome(custom(names, seed=0, workers=2), 3)
    np.testing.assert_array_equal(shared.returns, alone.returns)
    np.testing.assert_array_equal(shared.success, alone.success)


@pytest.mark.slow
def test_experts_solve_all_goals_of_all_tasks():
    result = outcome(benchmark("MT50", seed=0, workers="auto"), 50)
    for name, rate in zip(result.task_names, result.success_rates, strict=True):
        print(f"{name:<28} {50 * rate:.0f}")
    assert result.mean_success >= 0.97
    assert result.success_rates.min() >= 0.8  # peg-insert-side, the hardest for its expert, has 41 of 50
