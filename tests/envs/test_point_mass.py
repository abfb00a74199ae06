"""The toy suite: conflicting tasks that can all be solved."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mtrl.envs.point_mass import PointMassSuite
from mtrl.errors import UsageError
from tests.envs.one_slot import OneSlot

CONFIGS = Path(__file__).parents[2] / "configs" / "env"


def controller(obs, task, num_tasks):
    """Push towards the goal, undoing the task's turn."""
    angle = -2 * math.pi * task / num_tasks
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    push = turn @ obs[4:6] * 5
    return (push / max(1.0, np.abs(push).max())).astype(np.float32)


def success_rate(suite, task, policy):
    env = OneSlot(suite)
    solved = []
    for goal in range(suite.spec.num_goals):
        obs, ended, success = env.reset(task, goal), False, False
        while not ended and not success:
            obs, _, ended, success = env.step(policy(obs))
        solved.append(success)
    return np.mean(solved)


@pytest.mark.parametrize("num_tasks", [1, 3, 4, 10])
def test_a_controller_that_knows_the_task_solves_every_goal(num_tasks):
    suite = PointMassSuite(seed=0, tasks=num_tasks)
    for task in range(num_tasks):
        assert success_rate(suite, task, lambda obs, k=task: controller(obs, k, num_tasks)) == 1.0


def test_a_controller_of_another_task_solves_nothing():
    suite = PointMassSuite(seed=0, tasks=4)
    assert success_rate(suite, 2, lambda obs: controller(obs, 0, 4)) == 0.0


def test_random_actions_rarely_succeed():
    suite = PointMassSuite(seed=0, num_goals=100)
    rng = np.random.default_rng(0)
    assert success_rate(suite, 0, lambda obs: rng.uniform(-1, 1, 2).astype(np.float32)) < 0.35


def test_the_same_action_turns_by_the_angle_of_the_task():
    env = OneSlot(PointMassSuite(seed=0, tasks=4))
    directions = []
    for task in range(4):
        env.reset(task, 0)
        obs, *_ = env.step(np.array([1, 0], np.float32))
        directions.append(obs[:2] / np.linalg.norm(obs[:2]))
    np.testing.assert_allclose(directions, [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=1e-6)


def test_rewards_and_observations_stay_bounded_whatever_the_actions():
    suite = PointMassSuite(seed=0, tasks=4, copies=3)
    env = suite.training_env()
    env.reset()
    low, high, largest = np.inf, -np.inf, 0.0
    rng = np.random.default_rng(0)
    for _ in range(20):
        push = np.sign(rng.normal(size=(4, 3, 2))).astype(np.float32)
        for _ in range(suite.spec.horizon):
            step = env.step(push)
            low, high = min(low, step.reward.min()), max(high, step.reward.max())
            largest = max(largest, np.abs(step.next_obs).max())
    assert low >= -4.3
    assert high <= 2
    assert largest <= 3


def test_the_reward_grows_on_the_way_to_the_goal():
    env = OneSlot(PointMassSuite(seed=0))
    obs = env.reset(1, 0)
    rewards = []
    for _ in range(4):
        obs, reward, _, _ = env.step(controller(obs, 1, 4))
        rewards.append(reward)
    assert (np.diff(rewards) > 0).all()


def test_goals_depend_on_seed_and_task_and_lie_in_the_ring():
    def goals(seed, tasks, name):
        suite = PointMassSuite(seed=seed, tasks=tasks)
        env = OneSlot(suite)
        task = suite.spec.task_names.index(name)
        return np.stack([env.reset(task, goal)[4:6] for goal in range(20)])

    np.testing.assert_array_equal(goals(0, 4, "turn-90"), goals(0, 8, "turn-90"))
    assert not np.array_equal(goals(0, 4, "turn-90"), goals(1, 4, "turn-90"))
    assert not np.array_equal(goals(0, 4, "turn-90"), goals(0, 4, "turn-0"))
    radius = np.linalg.norm(goals(0, 4, "turn-90"), axis=1)
    assert (radius >= 0.5 - 1e-6).all()
    assert (radius <= 1 + 1e-6).all()


def test_episodes_end_by_the_time_limit_alone():
    env = PointMassSuite(seed=0, tasks=2, horizon=5).training_env()
    env.reset()
    action = np.ones((2, 1, 2), np.float32)
    steps = [env.step(action) for _ in range(5)]
    assert [bool(step.truncated.all()) for step in steps] == [False] * 4 + [True]
    assert not any(step.terminated.any() for step in steps)
    np.testing.assert_array_equal(steps[-1].obs[..., :4], 0)
    assert (steps[-1].next_obs[..., :2] != 0).any()


def test_training_is_repeatable_and_depends_on_the_seed():
    def run(seed):
        env = PointMassSuite(seed=seed, horizon=5).training_env()
        action = np.full((4, 1, 2), 0.3, np.float32)
        return np.stack([env.reset(), *(env.step(action).obs for _ in range(20))])

    np.testing.assert_array_equal(run(0), run(0))
    assert not np.array_equal(run(0), run(1))


def test_every_task_has_its_own_name():
    names = PointMassSuite(seed=0, tasks=1000).spec.task_names
    assert len(set(names)) == 1000
    assert PointMassSuite(seed=0).spec.task_names == ("turn-0", "turn-90", "turn-180", "turn-270")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("tasks", 0), ("copies", 0), ("horizon", 0), ("num_goals", 0), ("seed", -1), ("tasks", 2.5)],
)
def test_unacceptable_arguments_are_refused(parameter, value):
    with pytest.raises(UsageError, match=f"{parameter} must be an integer from .* found {value}"):
        PointMassSuite(**{"seed": 0, parameter: value})


def test_the_description_is_plain_json():
    facts = PointMassSuite(seed=0).describe()
    assert json.loads(json.dumps(facts)) == facts


def test_the_config_states_the_defaults_of_the_class():
    config = OmegaConf.load(CONFIGS / "point_mass.yaml")
    assert instantiate(config, seed=0).describe() == PointMassSuite(seed=0).describe()


def test_the_toy_does_not_import_the_simulator():
    code = (
        "import sys, mtrl.envs.point_mass, mtrl.envs.metaworld.suite; "
        "assert not {'metaworld', 'mujoco'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
