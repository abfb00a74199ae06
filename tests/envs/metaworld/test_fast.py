"""The shorter ways through Meta-World's step and reset, bit for bit against the plain library."""

import inspect

import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP
from metaworld.utils import reward_utils
from scipy.spatial.transform import Rotation as ScipyRotation

from mtrl.envs.metaworld import arithmetic
from mtrl.envs.metaworld.fast import fast_class
from mtrl.envs.metaworld.goals import draw_goals

NAMES = list(ALL_V3_ENVIRONMENTS)


def pair(name):
    """The library's environment, ours, and the goals."""
    plain = ALL_V3_ENVIRONMENTS[name](reward_function_version="v2")
    fast = fast_class(ALL_V3_ENVIRONMENTS[name])(reward_function_version="v2")
    return plain, fast, draw_goals(name, 0, fast)


def bits(obs, reward, terminated, truncated, info):
    numbers = [obs.astype(np.float64).tobytes(), np.float64(reward).tobytes()]
    return numbers, terminated, truncated, {name: np.float64(value).tobytes() for name, value in info.items()}


def begin(plain, fast, goal):
    plain.set_task(goal)
    fast.set_task(goal)
    obs = plain.reset()[0]
    assert obs.dtype == np.float64
    assert obs.tobytes() == fast.reset()[0].tobytes()
    return obs


def assert_same_steps(plain, fast, actions):
    for number, action in enumerate(actions, start=1):
        assert bits(*plain.step(action)) == bits(*fast.step(action)), f"step {number}"


@pytest.mark.parametrize("name", NAMES)
def test_random_episodes_are_the_librarys_to_the_last_bit(name):
    plain, fast, goals = pair(name)
    rng = np.random.default_rng([*name.encode()])
    # The third episode begins from a hand that came to rest before, the last has rewards of version 1.
    for goal, steps, version in ((3, 500, "v2"), (7, 20, "v2"), (3, 20, "v2"), (11, 60, "v1")):
        plain.reward_function_version = fast.reward_function_version = version
        begin(plain, fast, goals[goal])
        assert_same_steps(plain, fast, rng.uniform(-1, 1, (steps, 4)).astype(np.float32))
        if steps == 500:
            for env in (plain, fast):
                with pytest.raises(ValueError, match="must reset"):
                    env.step(np.zeros(4, np.float32))


def assert_same_expert_episode(name, plain, fast, goal):
    expert = ENV_POLICY_MAP[name]()
    obs = begin(plain, fast, goal)
    for _ in range(200):
        # Neither clipped nor single precision: the library takes any number.
        action = expert.get_action(obs)
        outcome = plain.step(action)
        assert bits(*outcome) == bits(*fast.step(action))
        obs = outcome[0]
        if outcome[4]["success"]:
            return


# Contacts with the object, two objects in the observation, SciPy's quaternions, and a door.
@pytest.mark.parametrize("name", ["pick-place-v3", "stick-push-v3", "peg-insert-side-v3", "door-open-v3"])
@pytest.mark.filterwarnings("ignore:Constant")
def test_expert_episodes_are_the_librarys_to_the_last_bit(name):
    plain, fast, goals = pair(name)
    assert_same_expert_episode(name, plain, fast, goals[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:Constant")
def test_every_goal_and_expert_episodes_of_every_task_are_the_librarys(name):
    plain, fast, goals = pair(name)
    for goal in (*goals, *goals[:5]):
        begin(plain, fast, goal)
    for goal in goals[:3]:
        assert_same_expert_episode(name, plain, fast, goal)


def test_the_library_itself_is_left_as_it_was():
    from metaworld.envs import sawyer_pick_place_v3 as module

    library_class = module.SawyerPickPlaceEnvV3
    before = dict(vars(library_class))
    fast = fast_class(library_class)
    assert fast is fast_class(library_class)
    assert dict(vars(library_class)) == before
    assert module.reward_utils is reward_utils
    assert module.Rotation is ScipyRotation
    assert fast.compute_reward.__globals__["Rotation"] is arithmetic.Rotation


def test_nothing_but_the_hands_reset_simulates_outside_a_step():
    # do_simulation() relies on it while a scene is set.
    for library_class in ALL_V3_ENVIRONMENTS.values():
        assert "do_simulation" not in inspect.getsource(inspect.getmodule(library_class))


def test_quaternions_are_scipys_to_the_last_bit():
    rng = np.random.default_rng(0)
    turns = [ScipyRotation.from_quat(quaternion) for quaternion in rng.normal(size=(2000, 4))]
    turns += [ScipyRotation.from_euler("xyz", angles, degrees=True) for angles in np.eye(3) * 180]
    matrices = [turn.as_matrix() for turn in turns]
    matrices += [matrix + rng.normal(0, 1e-9, (3, 3)) for matrix in matrices[:50]]  # SciPy repairs these
    for matrix in matrices:
        expected = ScipyRotation.from_matrix(matrix).as_quat()
        assert arithmetic.Rotation.from_matrix(matrix).as_quat().tobytes() == expected.tobytes()
    with pytest.raises(ValueError, match="determinant"):
        arithmetic.Rotation.from_matrix(-np.eye(3))


@pytest.mark.parametrize("sigmoid", ["long_tail", "gaussian"])
@pytest.mark.parametrize("number", [float, np.float64])
def test_tolerance_is_the_librarys_to_the_last_bit(sigmoid, number):
    rng = np.random.default_rng(0)
    for _ in range(2000):
        x, lower, width, margin = rng.uniform(-1, 1), rng.uniform(-0.5, 0.5), rng.random(), rng.random()
        call = {"bounds": (number(lower), number(lower + width)), "margin": number(margin)}
        expected = reward_utils.tolerance(number(x), sigmoid=sigmoid, **call)
        found = arithmetic.tolerance(number(x), sigmoid=sigmoid, **call)
        assert np.float64(found).tobytes() == np.float64(expected).tobytes()
    for bad in ({"bounds": (1.0, 0.0), "margin": 1.0}, {"margin": -1.0}):
        with pytest.raises(ValueError, match=r"[Bb]ound|margin"):
            arithmetic.tolerance(number(0.5), sigmoid=sigmoid, **bad)
    assert arithmetic.tolerance(number(0.5), bounds=(0.0, 0.1), sigmoid=sigmoid) == 0.0
