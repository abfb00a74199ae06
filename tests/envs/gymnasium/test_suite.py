"""Gymnasium's environments as tasks: sizes, bounds, success, limits, seeds, and what is refused."""

import json
from contextlib import closing
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mtrl.envs.gymnasium.suite import GymnasiumSuite
from mtrl.errors import EnvironmentFailedError, UsageError
from tests.envs.one_slot import OneSlot

CONFIG = Path(__file__).parents[3] / "configs" / "env" / "gymnasium.yaml"
HERE = "tests.envs.gymnasium.tiny"
ECHO, WIDE = f"{HERE}.Echo", f"{HERE}.Wide"


def suite(*names, **options):
    return GymnasiumSuite(list(names) or [ECHO, WIDE], **{"seed": 0, "horizon": 4, "workers": 0, **options})


def action(*entries):
    return np.array(entries, np.float32)


def episode(suite, task, actions):
    """What an episode of goal 0 gives at each step."""
    env = OneSlot(suite)
    env.reset(task, 0)
    return [env.step(given) for given in actions]


def test_small_tasks_are_padded_and_actions_stretched_to_the_bounds():
    both = suite()
    assert both.spec[1:] == (6, 2, 4, 50)
    ((obs, *_),) = episode(both, 0, [action(0.5, -1)])
    np.testing.assert_array_equal(obs[2:], [1.5, 0, 0, 0])  # of 0 to 2; the second entry is no part of it
    ((obs, *_),) = episode(both, 1, [action(-0.5, 0.5)])
    np.testing.assert_array_equal(obs, [1, 0, 0, -0.5, 25, 0])
    ((obs, *_),) = episode(both, 1, [action(-3, 3)])
    np.testing.assert_array_equal(obs[3:5], [-1, 30])


def test_success_is_what_info_says_at_the_step():
    steps = episode(suite(), 0, [action(0, 0), action(0.9, 0), action(0, 0)])
    assert [success for *_, success in steps] == [False, True, False]
    assert not any(success for *_, success in episode(suite(), 1, [action(1, 1)] * 4))


@pytest.mark.parametrize(("least", "succeeds"), [(6.0, True), (6.1, False)])
def test_a_return_makes_a_success_at_the_last_step_alone(least, succeeds):
    steps = episode(suite(success_return=[least, None]), 0, [action(0.5, 0)] * 4)  # 1.5 each
    assert [success for *_, success in steps] == [False, False, False, succeeds]
    low = episode(suite(success_return=-100), 1, [action(0, 0)] * 4)
    assert [success for *_, success in low] == [False, False, False, True]


def test_an_end_is_terminated_and_a_limit_is_truncated():
    env = suite(horizon=[3, 9]).training_env()
    env.reset()
    actions = np.zeros((2, 1, 2), np.float32)
    steps = [env.step(actions) for _ in range(3)]
    np.testing.assert_array_equal([step.truncated[:, 0] for step in steps], [[0, 0], [0, 0], [1, 0]])
    assert not any(step.terminated.any() for step in steps)
    actions[0] = 1
    last = env.step(actions)
    np.testing.assert_array_equal(last.terminated[:, 0], [True, False])
    assert not last.truncated.any()
    assert env.step(actions).truncated[1, 0]  # which its own fifth step is


def test_a_limit_is_the_environments_own_unless_given():
    names = ["Pendulum-v1", "MountainCarContinuous-v0", f"{HERE}.limited"]
    assert suite(*names, horizon=None).describe()["horizons"] == dict(zip(names, (200, 999, 3), strict=True))
    assert suite(*names, horizon=[None, 2000, 2]).spec.horizon == 2000
    long = suite("Pendulum-v1", horizon=300)
    assert [ended for _, _, ended, _ in episode(long, 0, [action(0)] * 300)].index(True) == 299


def test_a_goal_is_a_seed_of_task_and_run():
    def starts(suite, name):
        env, task = OneSlot(suite), suite.spec.task_names.index(name)
        return [env.reset(task, goal)[0] for goal in range(8)]

    first = starts(suite(), ECHO)
    assert len(set(first)) == 8
    assert first == starts(suite(WIDE, "Pendulum-v1", ECHO), ECHO)
    assert first == starts(suite(num_goals=8), ECHO)
    assert first != starts(suite(seed=1), ECHO)
    assert first != starts(suite(f"{HERE}.Late"), f"{HERE}.Late")


def test_two_mujoco_tasks_of_different_sizes_are_gymnasiums_own_step_by_step():
    both = GymnasiumSuite(["HalfCheetah-v5", "Hopper-v5"], seed=0, workers=0)
    assert both.spec[1:] == (17, 6, 1000, 50)
    rng = np.random.default_rng(0)
    for task, (name, obs_size, action_size) in enumerate((("HalfCheetah-v5", 17, 6), ("Hopper-v5", 11, 3))):
        env = both.task(task)
        raw = gymnasium.make(name)
        seed = env._seeds[7]
        env.reset(0)  # another episode before, which leaves nothing behind
        env.step(np.ones(6, np.float32))
        np.testing.assert_array_equal(env.reset(7)[:obs_size], raw.reset(seed=seed)[0].astype(np.float32))
        for given in rng.uniform(-1, 1, (12, 6)).astype(np.float32):
            ours, theirs = env.step(given), raw.step(given[:action_size])
            np.testing.assert_array_equal(ours.obs[:obs_size], theirs[0].astype(np.float32))
            assert not ours.obs[obs_size:].any()
            assert ours[1:4] == theirs[1:4]


def test_workers_change_nothing_whoever_wrote_the_class():
    def play(workers):
        with closing(suite(copies=2, workers=workers).training_env()) as env:
            rng = np.random.default_rng(0)
            arrays = [env.reset()]
            for _ in range(9):
                arrays += env.step(rng.uniform(-1, 1, (2, 2, 2)).astype(np.float32))
            return arrays

    for ours, theirs in zip(play(2), play(0), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_options_reach_their_task():
    doubled = suite(options={ECHO: {"scale": 2.0}})
    assert episode(doubled, 0, [action(0, 0)])[0][1] == 2


def test_the_start_says_what_cannot_succeed_or_be_repeated():
    drifting = f"{HERE}.Drifting"
    notes = suite(ECHO, WIDE, drifting).training_env().summary()
    assert f"no success in the info of {WIDE} at the first steps" in notes
    assert f"{drifting}: two episodes of one seed and the same actions differ" in notes
    assert ";" not in suite(ECHO, WIDE, success_return=[None, 1]).training_env().summary()


def test_an_observation_that_is_not_finite_names_task_and_step():
    env = suite(f"{HERE}.Late", horizon=20).training_env()
    env.reset()
    with pytest.raises(
        EnvironmentFailedError, match=r"task .*Late, copy 0 raised .* finite, found nan at entry 0"
    ):
        for _ in range(20):
            env.step(np.zeros((1, 1, 1), np.float32))


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        ([], {}, "found none; for example"),
        (["Hopper-v5", "Hopper-v5"], {}, "found Hopper-v5 more than once"),
        (["Hoper-v5"], {}, "Did you mean: `Hopper`"),
        (["Hopper-v99"], {}, "found 'Hopper-v99'"),
        ([3], {}, "found 3"),
        (["os.Reach"], {}, "Python's own library has none"),
        (["os:Reach-v0"], {}, "Python's own library has none"),
        (["nowhere.Reach"], {}, "must lie where the command is typed"),
        (["nowhere:Reach-v0"], {}, "must lie where the command is typed"),
        ([f"{HERE}.Nothing"], {}, "has no 'Nothing'"),
        ([f"{HERE}.Box"], {}, "a class derived from gymnasium.Env"),
        ([f"{HERE}.unannotated"], {}, "a function annotated to return one"),
        (["CartPole-v1"], {}, "action space of task CartPole-v1 must be a Box, found Discrete"),
        (
            [f"{HERE}.Choosing"],
            {},
            "must be a Box, found Discrete(3); the policies here choose continuous actions only",
        ),
        ([f"{HERE}.Named"], {}, "FlattenObservation"),
        ([f"{HERE}.Unbounded"], {}, "finite bounds"),
        ([f"{HERE}.Whole"], {}, "floating numbers"),
        ([f"{HERE}.Broken"], {}, "must be finite, found nan at entry 1, step 0"),
        ([f"{HERE}.Short"], {}, "must have 3 entries, as its space says, found 2"),
        ([f"{HERE}.Raising"], {}, "KeyError: 'goal' (tiny.py, line"),
        ([ECHO], {"horizon": None}, "has no time limit of its own: set env.horizon"),
        ([ECHO], {"horizon": 0}, "horizon must be an integer from 1"),
        ([ECHO, WIDE], {"horizon": [3]}, "horizon must be one number or one for each of the 2 tasks"),
        ([ECHO], {"success_return": "much"}, "success_return must be a number"),
        ([ECHO], {"num_goals": 0}, "num_goals must be an integer from 1"),
        ([ECHO], {"options": {"width": 3}}, "options must be keyword arguments by task"),
        ([ECHO], {"options": {WIDE: {}}}, f"found '{WIDE}'"),
        ([ECHO], {"options": {ECHO: {"render_mode": "human"}}}, "must not hold render_mode"),
        ([ECHO], {"options": {ECHO: {"wide": 3}}}, "unexpected keyword argument 'wide'"),
        ([ECHO], {"copies": 0}, "copies must be an integer"),
        ([ECHO], {"workers": 7}, "workers must be an integer"),
    ],
)
def test_what_cannot_be_a_task_is_refused_in_one_line(names, options, words):
    with pytest.raises(UsageError) as raised:
        GymnasiumSuite(names, **{"seed": 0, "horizon": 4, "workers": 0, **options})
    assert words in str(raised.value)


def test_a_list_that_is_none_is_refused():
    with pytest.raises(UsageError, match=r"write it as \[HalfCheetah-v5, Hopper-v5\]"):
        GymnasiumSuite("Hopper-v5", seed=0)


def test_an_environment_that_draws_is_filmed_without_mujoco():
    echo = suite()
    echo.require_drawable([0], UsageError("no backend"))
    task, camera = echo.scene(0, None, 60)
    task.reset(0)
    picture = camera.picture()
    assert picture.shape == (60, 60, 3)
    assert picture[30, 30].tolist() == [200] * 3
    with pytest.raises(UsageError, match=r"Blind cannot be drawn"):
        suite(f"{HERE}.Blind").require_drawable([0], None)
    with pytest.raises(UsageError, match="no backend"):
        suite("Hopper-v5").require_drawable([0], UsageError("no backend"))


def test_the_description_is_plain_json():
    facts = suite(success_return=[None, 3.5]).describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["spaces"][WIDE] == {"obs_size": 6, "action_low": [-1, 10], "action_high": [1, 30]}


def test_the_config_states_the_defaults_of_the_class():
    config = OmegaConf.load(CONFIG)
    names = OmegaConf.to_container(config.tasks)
    made = instantiate(config, seed=0, workers=0)
    assert made.describe() == GymnasiumSuite(names, seed=0, workers=0).describe()
