"""A training environment that is put back to an earlier state goes on as it did from there."""

import copy

import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from mtrl.envs.gymnasium.suite import GymnasiumSuite
from mtrl.envs.metaworld.suite import custom
from mtrl.envs.point_mass import PointMassSuite
from mtrl.envs.suite import SuiteTrainingEnv
from mtrl.errors import UsageError
from tests.envs.counting import CountingTask
from tests.envs.test_vector import SPEC


def counting(workers):
    return lambda: SuiteTrainingEnv(SPEC, [CountingTask] * 3, copies=2, seed=0, workers=workers)


def gymnasium(**options):
    names = ["Pendulum-v1", "tests.envs.gymnasium.tiny.Echo", "Hopper-v5"]
    return lambda: GymnasiumSuite(names, seed=1, horizon=7, **options).training_env()


def metaworld(tasks, **options):
    return lambda: custom(tasks, seed=1, horizon=9, **{"workers": 0} | options).training_env()


MAKERS = {
    "toy": PointMassSuite(seed=1, tasks=3, copies=2, horizon=7).training_env,
    "counting": counting(0),
    "counting in workers": counting(2),
    "gymnasium": gymnasium(copies=2),
    "gymnasium in workers": gymnasium(workers=2),
    "metaworld": metaworld(["reach-v3", "pick-place-v3"], copies=2),
    "metaworld in workers": metaworld(["reach-v3", "drawer-open-v3"], workers=2),
    "metaworld, plain": metaworld(["push-v3"], fast=False),
}


def play(env, rng, steps):
    space = env.state_dict()["actions"].shape
    shape = (space[0] // env.copies, env.copies, space[2])
    return [env.step(rng.uniform(-1, 1, shape).astype(np.float32)) for _ in range(steps)]


@pytest.mark.parametrize("cut", [0, 5, 16])
@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_the_rest_is_the_same_to_the_last_bit(maker, cut):
    check_the_rest(maker, cut, 12)


@pytest.mark.slow
@pytest.mark.parametrize("task", ALL_V3_ENVIRONMENTS)
def test_every_task_of_metaworld_comes_back(task):
    for cut in (40, 140):
        check_the_rest(lambda: custom([task], seed=1, horizon=100, workers=0).training_env(), cut, 80)


def check_the_rest(maker, cut, rest):
    rng = np.random.default_rng(0)
    first, second = maker(), maker()
    obs = first.reset()
    steps = play(first, rng, cut)
    restored = second.load_state_dict(copy.deepcopy(first.state_dict()))
    np.testing.assert_array_equal(restored, steps[-1].obs if steps else obs)
    again = np.random.default_rng(0)
    again.bit_generator.state = rng.bit_generator.state
    for ours, theirs in zip(play(first, rng, rest), play(second, again, rest), strict=True):
        for field, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(field, expected)
    first.close()
    second.close()


def test_episodes_that_end_by_themselves_come_back_at_their_own_lengths():
    first, second = counting(0)(), counting(0)()
    first.reset()
    action = np.zeros((3, 2, 1), np.float32)
    action[1, 0] = 9  # this task ends
    first.step(action)
    step = first.step(np.zeros_like(action))
    np.testing.assert_array_equal(second.load_state_dict(first.state_dict()), step.obs)


def test_a_failed_step_leaves_no_episodes_but_the_goal_streams():
    first, second, third = counting(0)(), counting(0)(), counting(0)()
    first.reset()
    third.reset()
    with pytest.raises(RuntimeError, match="broken"):
        first.step(np.full((3, 2, 1), 8, np.float32))
    assert second.load_state_dict(first.state_dict()) is None
    np.testing.assert_array_equal(second.reset(), third.reset())


def test_the_state_of_another_suite_is_refused():
    with pytest.raises(UsageError, match="same suite"):
        counting(0)().load_state_dict(PointMassSuite(seed=0).training_env().state_dict())
