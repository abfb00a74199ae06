"""What every kind of suite promises, and what is said of one that does not."""

import numpy as np
import pytest

from mtrl.envs.gymnasium.suite import GymnasiumSuite
from mtrl.envs.metaworld.suite import custom
from mtrl.envs.point_mass import PointMassSuite, PointMassTask
from mtrl.testing import ContractError, check_suite
from mtrl.testing.suite import CHECKS

ECHO = "tests.envs.gymnasium.tiny.Echo"
SUITES = {
    "point_mass": lambda: PointMassSuite(seed=1, tasks=3, copies=2, horizon=7),
    "gymnasium": lambda: GymnasiumSuite(["Pendulum-v1", ECHO], seed=1, horizon=7, copies=2, workers=0),
    "metaworld": lambda: custom(["reach-v3", "push-v3"], seed=1, horizon=9, workers=0),
}


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("name", CHECKS)
def test_every_suite_keeps_the_contract(suite, name):
    CHECKS[name](SUITES[suite]())


def toy():
    return PointMassSuite(seed=1, tasks=3, horizon=7)


def test_a_sound_suite_passes():
    check_suite(toy())


def test_tasks_of_one_name_are_found():
    suite = toy()
    suite.spec = suite.spec._replace(task_names=("a", "a", "b"))
    with pytest.raises(ContractError, match="must all be different"):
        check_suite(suite)


def test_a_description_that_is_not_json_is_found(monkeypatch):
    monkeypatch.setattr(PointMassSuite, "describe", lambda suite: {"suite": "toy", "tasks": np.ones(3)})
    with pytest.raises(ContractError, match="plain JSON"):
        check_suite(toy())


def test_an_episode_that_outlasts_the_horizon_is_found():
    suite = toy()
    suite.training_env = PointMassSuite(seed=1, tasks=3, horizon=9).training_env
    with pytest.raises(ContractError, match=r"must be truncated after spec\.horizon = 7"):
        check_suite(suite)


def test_chance_that_no_goal_seeds_is_found(monkeypatch):
    rng = np.random.default_rng()
    step = PointMassTask.step

    def noisy(task, action):
        obs, *rest = step(task, action)
        return obs + rng.normal(size=obs.shape).astype(obs.dtype), *rest

    monkeypatch.setattr(PointMassTask, "step", noisy)
    with pytest.raises(ContractError, match="the same to the last bit"):
        check_suite(toy())
    with pytest.raises(ContractError, match="a function of its goal and actions"):
        CHECKS["evaluation"](toy())
