"""Meta-World as the library plays it, without the library's traps."""

import json
import pickle
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mtrl.envs.metaworld.goals import draw_goals
from mtrl.envs.metaworld.suite import MetaWorldSuite, benchmark, custom, mt1
from mtrl.errors import EnvironmentFailedError, UsageError
from tests.envs.one_slot import OneSlot

CONFIGS = Path(__file__).parents[3] / "configs" / "env"
benchmark, custom, mt1 = (partial(make, workers=0) for make in (benchmark, custom, mt1))  # in this process


def random_actions(steps, tasks=1, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, tasks, 1, 4)).astype(np.float32)


def library_env(name, goal, seed=0, reward="v2"):
    """The plain library: its MT1 benchmark, its environment class, its own reset and step."""
    import metaworld

    tasks = metaworld.MT1(name, seed=seed).train_tasks
    env = metaworld.ALL_V3_ENVIRONMENTS[name](reward_function_version=reward)
    env.set_task(tasks[goal])
    return env


def vectors(goals):
    return np.stack([pickle.loads(goal.data)["rand_vec"] for goal in goals])


def drawn_goal(suite, name):
    """The goal of the first episode, found by its place in the observation of every goal."""
    first = suite.training_env().reset()[0, 0]
    evaluation = OneSlot(suite)
    matches = [goal for goal in range(50) if np.array_equal(evaluation.reset(0, goal), first)]
    assert len(matches) == 1, name
    return matches[0]


@pytest.mark.parametrize("name", ["reach-v3", "window-close-v3", "faucet-open-v3", "peg-insert-side-v3"])
def test_fast_goals_are_the_librarys_own(name):
    import metaworld

    library = metaworld.MT1(name, seed=7).train_tasks
    goals = draw_goals(name, 7)
    assert len(goals) == len(library) == 50
    np.testing.assert_array_equal(vectors(goals), vectors(library))
    for goal, task in zip(goals, library, strict=True):
        ours, theirs = pickle.loads(goal.data), pickle.loads(task.data)
        assert ours.pop("rand_vec").dtype == theirs.pop("rand_vec").dtype
        assert goal.env_name == task.env_name
        assert ours == theirs


def test_goals_depend_on_the_seed_and_leave_the_global_generator_alone():
    np.random.seed(123)  # noqa: NPY002
    before = np.random.get_state()  # noqa: NPY002
    one, two = draw_goals("reach-v3", 0), draw_goals("reach-v3", 1)
    after = np.random.get_state()  # noqa: NPY002
    assert not np.array_equal(vectors(one), vectors(two))
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]


def test_a_task_has_the_same_goals_in_every_suite():
    alone = OneSlot(mt1("push-v3", seed=0))
    among = OneSlot(custom(["reach-v3", "push-v3"], seed=0))
    for goal in (0, 17, 49):
        np.testing.assert_array_equal(alone.reset(0, goal), among.reset(1, goal))


@pytest.mark.parametrize(
    ("name", "reward"),
    [("reach-v3", "v2"), ("push-v3", "v1"), ("drawer-open-v3", "v2"), ("door-open-v3", "v1")],
)
def test_an_episode_is_the_librarys_own_step_by_step(name, reward):
    goal = 5
    raw = library_env(name, goal, reward=reward)
    env = OneSlot(mt1(name, seed=0, reward=reward))
    np.testing.assert_array_equal(env.reset(0, goal), raw.reset()[0].astype(np.float32))
    for action in random_actions(60)[:, 0, 0]:
        expected_obs, expected_reward, _, _, info = raw.step(action)
        obs, got, ended, success = env.step(action)
        np.testing.assert_array_equal(obs, expected_obs.astype(np.float32))
        assert got == expected_reward
        assert not ended
        assert success == bool(info["success"])


def test_success_is_that_of_the_step():
    from metaworld.policies import ENV_POLICY_MAP

    raw = library_env("reach-v3", 0)
    expert = ENV_POLICY_MAP["reach-v3"]()
    env = OneSlot(mt1("reach-v3", seed=0))
    env.reset(0, 0)
    obs, _ = raw.reset()
    flags = []
    for _ in range(80):
        action = np.clip(expert.get_action(obs), -1, 1).astype(np.float32)
        obs, _, _, _, info = raw.step(action)
        flags.append(env.step(action)[3])
        assert flags[-1] == bool(info["success"])
    assert not flags[0]
    assert any(flags)


def test_a_shortened_horizon_truncates_with_the_true_last_observation_and_a_new_episode():
    suite = mt1("push-v3", seed=0, horizon=6)
    raw = library_env("push-v3", drawn_goal(suite, "push-v3"))
    env = suite.training_env()
    env.reset()
    raw.reset()
    for step_number, action in enumerate(random_actions(6), start=1):
        step = env.step(action)
        expected, _, _, _, _ = raw.step(action[0, 0])
        np.testing.assert_array_equal(step.next_obs[0, 0], expected.astype(np.float32))
        assert not step.terminated.any()
        assert step.truncated.all() == (step_number == 6)
    assert not np.array_equal(step.obs, step.next_obs)
    evaluation = OneSlot(suite)
    starts = [evaluation.reset(0, goal) for goal in range(50)]
    assert any(np.array_equal(step.obs[0, 0], start) for start in starts)
    assert not env.step(action).truncated.any()


def test_the_full_horizon_truncates_at_500_where_the_library_does():
    raw = library_env("reach-v3", 3)
    env = OneSlot(mt1("reach-v3", seed=0))
    env.reset(0, 3)
    raw.reset()
    for action in random_actions(500)[:, 0, 0]:
        expected, _, _, truncated, _ = raw.step(action)
        obs, _, ended, _ = env.step(action)
        assert ended == truncated
    assert ended
    np.testing.assert_array_equal(obs, expected.astype(np.float32))


def test_evaluation_does_not_disturb_training():
    suite = custom(["reach-v3", "push-v3"], seed=0, horizon=8)
    actions = random_actions(20, tasks=2)

    def train(disturb):
        env = suite.training_env()
        evaluation = OneSlot(suite)
        seen = [env.reset()]
        for action in actions:
            seen.append(env.step(action).obs)
            if disturb:
                evaluation.reset(0, 1)
                evaluation.step(action[0, 0])
        return np.stack(seen)

    np.testing.assert_array_equal(train(disturb=True), train(disturb=False))


def test_an_episode_is_a_function_of_goal_and_actions():
    env = OneSlot(mt1("drawer-close-v3", seed=0))
    actions = random_actions(40)[:, 0, 0]

    def play(goal):
        return np.stack([env.reset(0, goal), *(env.step(action)[0] for action in actions)])

    once = play(2)
    other = play(3)
    np.testing.assert_array_equal(play(2), once)
    assert not np.array_equal(other, once)


def test_two_suites_of_one_seed_train_alike_and_copies_differ():
    actions = np.repeat(random_actions(12), 2, axis=2)

    def train(seed):
        env = mt1("reach-v3", seed=seed, copies=2, horizon=5).training_env()
        return np.stack([env.reset(), *(env.step(action).obs for action in actions)])

    once = train(0)
    np.testing.assert_array_equal(once, train(0))
    assert not np.array_equal(once, train(1))
    assert not np.array_equal(once[:, :, 0], once[:, :, 1])


@pytest.mark.parametrize(("name", "size"), [("MT10", 10), ("MT25", 25), ("MT50", 50)])
def test_benchmarks_have_the_librarys_tasks_in_its_order(name, size):
    from metaworld import env_dict

    suite = benchmark(name, seed=0)
    assert suite.spec.num_tasks == size
    assert list(suite.spec.task_names) == list(getattr(env_dict, f"{name}_V3"))
    assert suite.spec[1:] == (39, 4, 500, 50)


def test_mt10_trains_with_the_goal_in_every_observation():
    env = benchmark("MT10", seed=0).training_env()
    first = env.reset()
    assert first.shape == (10, 1, 39)
    step = env.step(random_actions(1, tasks=10)[0])
    assert np.isfinite(step.next_obs).all()
    assert (np.abs(first[..., -3:]).sum(-1) > 0).all()
    np.testing.assert_array_equal(step.next_obs[..., -3:], first[..., -3:])
    assert (step.reward >= 0).all()
    assert (step.reward <= 10).all()


def test_a_nan_action_is_refused_by_name():
    env = mt1("reach-v3", seed=0).training_env()
    env.reset()
    action = random_actions(1)[0]
    action[0, 0, 2] = np.nan
    with pytest.raises(FloatingPointError, match="task reach-v3"):
        env.step(action)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: mt1("reach", seed=0), ["'reach'", "did you mean reach-v3", "window-open-v3"]),
        (lambda: custom(["push-v3", "pusch-v3"], seed=0), ["'pusch-v3'", "push-v3", "choose from"]),
        (lambda: custom([], seed=0), ["tasks must name at least one"]),
        (lambda: custom(["push-v3", "push-v3"], seed=0), ["push-v3 more than once", "set copies"]),
        (lambda: custom("push-v3", seed=0), ["tasks must be a list", "'push-v3'", "[push-v3, reach-v3]"]),
        (lambda: custom([3], seed=0), ["found 3", "choose from"]),
        (lambda: mt1(["push-v3"], seed=0), ["task must be one name", "env=custom"]),
        (lambda: benchmark("MT20", seed=0), ["name must be one of MT10, MT25, MT50", "'MT20'"]),
        (lambda: mt1("reach-v3", seed=0, horizon=501), ["horizon", "from 1 to 500", "found 501"]),
        (lambda: mt1("reach-v3", seed=0, horizon=0), ["horizon", "found 0"]),
        (lambda: mt1("reach-v3", seed=0, reward="v3"), ["reward must be v1 or v2", "'v3'"]),
        (lambda: mt1("reach-v3", seed=0, copies=0), ["copies", "found 0"]),
        (lambda: mt1("reach-v3", seed=0, workers=-1), ["workers", "from 0 to 1", "found -1", "auto"]),
        (lambda: mt1("reach-v3", seed=0, workers="many"), ["workers", "'many'", "auto"]),
        (lambda: mt1("reach-v3", seed=0, copies=3, workers=4), ["from 0 to 3", "found 4", "3 environments"]),
        (lambda: mt1("reach-v3", seed=0, fast="yes"), ["fast must be true or false", "'yes'"]),
        (lambda: mt1("reach-v3", seed=-1), ["seed", "found -1"]),
        (lambda: mt1("reach-v3", seed=None), ["seed", "found None"]),
    ],
)
def test_unacceptable_arguments_are_refused_in_one_line(build, words):
    with pytest.raises(UsageError) as error:
        build()
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_building_a_suite_draws_no_goal(monkeypatch):
    def fail(*_):
        raise AssertionError("a goal was drawn")

    monkeypatch.setattr("mtrl.envs.metaworld.task.draw_goals", fail)
    suite = MetaWorldSuite(["reach-v3"], seed=0, workers=0)
    with pytest.raises(EnvironmentFailedError, match="a goal was drawn"):
        suite.training_env().reset()


def test_goals_are_drawn_once_and_shared(monkeypatch):
    calls = []

    def count(name, seed, env):
        calls.append((name, seed))
        return draw_goals(name, seed, env)

    monkeypatch.setattr("mtrl.envs.metaworld.task.draw_goals", count)
    suite = mt1("reach-v3", seed=4, copies=2)
    suite.training_env().reset()
    OneSlot(suite).reset(0, 0)
    assert calls == [("reach-v3", 4)]


def test_the_description_is_plain_json_and_complete():
    facts = benchmark("MT10", seed=3, copies=2, reward="v1", horizon=200).describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["versions"]["mujoco"] == "3.3.0"
    assert set(facts["versions"]) == {"metaworld", "mujoco", "gymnasium"}
    assert (facts["reward"], facts["horizon"], facts["copies"]) == ("v1", 200, 2)
    assert facts["goals_per_task"] == 50
    assert "seed=3" in facts["goals"]


@pytest.mark.parametrize(
    ("file", "tasks"), [("mt1", 1), ("mt10", 10), ("mt25", 25), ("mt50", 50), ("custom", 2)]
)
def test_configs_build_their_suites(file, tasks):
    suite = instantiate(OmegaConf.load(CONFIGS / f"{file}.yaml"), seed=0)
    assert suite.spec.num_tasks == tasks
    assert suite.spec.horizon == 500


@pytest.mark.slow
def test_all_tasks_are_the_same_to_the_last_bit_for_every_number_of_workers_and_by_the_plain_step():
    choices = [{"fast": False}, {}, {"workers": 1}, {"workers": 2}, {"workers": 4}]
    with ExitStack() as stack:
        suites = (benchmark("MT50", seed=0, **choice) for choice in choices)
        plain, *others = (stack.enter_context(closing(suite.training_env())) for suite in suites)
        start = plain.reset()
        for env in others:
            np.testing.assert_array_equal(env.reset(), start)
        for step, action in enumerate(random_actions(505, tasks=50), start=1):  # into a second episode
            expected = [array.tobytes() for array in plain.step(action)]
            for env, choice in zip(others, choices[1:], strict=True):
                assert [array.tobytes() for array in env.step(action)] == expected, (choice, step)
