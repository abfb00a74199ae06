"""The training and evaluation environments, over a task that only counts."""

import numpy as np
import pytest

from mtrl.envs.counts import choose_workers
from mtrl.envs.suite import SuiteEvaluationEnv, SuiteTrainingEnv
from mtrl.errors import EnvironmentFailedError, UsageError
from mtrl.types import SuiteSpec
from tests.envs.counting import CountingTask


def spec_of(names):
    return SuiteSpec(names, obs_size=3, action_size=1, horizon=3, num_goals=50)


def training(names=("a", "b"), copies=2, seed=0):
    rows = [[CountingTask() for _ in range(copies)] for _ in names]
    recipes = [iter(row).__next__ for row in rows]
    return SuiteTrainingEnv(spec_of(names), recipes, copies=copies, seed=seed), rows


def goals_seen(names, copies=1, seed=0, episodes=8):
    env, rows = training(names, copies, seed)
    for _ in range(episodes):
        env.reset()
    return {name: [task.goals for task in row] for name, row in zip(names, rows, strict=True)}


def zeros(env_shape=(2, 2)):
    return np.zeros((*env_shape, 1), np.float32)


def test_arrays_have_the_shapes_and_types_of_the_contract():
    env, _ = training()
    assert env.copies == 2
    first = env.reset()
    assert first.shape == (2, 2, 3)
    assert first.dtype == np.float32
    step = env.step(zeros())
    assert step.next_obs.shape == step.obs.shape == (2, 2, 3)
    assert step.next_obs.dtype == step.obs.dtype == step.reward.dtype == np.float32
    for flags in (step.terminated, step.truncated, step.success):
        assert flags.shape == (2, 2)
        assert flags.dtype == np.bool_


def test_results_of_earlier_steps_are_never_overwritten():
    env, _ = training()
    env.reset()
    first = env.step(zeros())
    kept = [array.copy() for array in first]
    env.step(zeros() + 1)
    for array, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert not np.shares_memory(first.obs, first.next_obs)


def test_a_time_limit_truncates_keeps_the_last_observation_and_starts_a_new_episode():
    env, rows = training()
    env.reset()
    env.step(zeros())
    second = env.step(zeros())
    assert second.success.all()
    np.testing.assert_array_equal(second.obs, second.next_obs)
    third = env.step(zeros() + 0.5)
    assert third.truncated.all()
    assert not third.terminated.any()
    assert not third.success.any()
    first_goals = [[task.goals[0] for task in row] for row in rows]
    second_goals = [[task.goals[1] for task in row] for row in rows]
    np.testing.assert_array_equal(third.next_obs[..., 0], first_goals)
    np.testing.assert_array_equal(third.next_obs[..., 1:], np.broadcast_to([3, 0.5], (2, 2, 2)))
    np.testing.assert_array_equal(third.obs[..., 0], second_goals)
    np.testing.assert_array_equal(third.obs[..., 1:], 0)


def test_an_episode_that_ends_by_itself_is_terminated_and_only_it_starts_anew():
    env, rows = training()
    env.reset()
    action = zeros()
    action[1, 0] = 9
    step = env.step(action)
    np.testing.assert_array_equal(step.terminated, [[False, False], [True, False]])
    assert not step.truncated.any()
    assert [[len(task.goals) for task in row] for row in rows] == [[1, 1], [2, 1]]
    np.testing.assert_array_equal(step.obs[..., 1], [[1, 1], [0, 1]])


def test_each_action_reaches_its_own_task_and_copy():
    env, _ = training()
    env.reset()
    action = np.arange(4, dtype=np.float32).reshape(2, 2, 1) / 4
    np.testing.assert_array_equal(env.step(action).next_obs[..., 2], action[..., 0])


def test_goal_streams_are_repeatable_and_depend_on_the_seed():
    assert goals_seen(("a", "b")) == goals_seen(("a", "b"))
    assert goals_seen(("a",), seed=0) != goals_seen(("a",), seed=1)


def test_a_goal_stream_depends_on_the_name_of_the_task_not_on_the_other_tasks():
    assert goals_seen(("a", "b"))["a"] == goals_seen(("c", "d", "a"))["a"]
    assert goals_seen(("a",), copies=2)["a"][0] == goals_seen(("a",))["a"][0]


def test_tasks_and_copies_draw_different_goals():
    seen = goals_seen(("a", "b"), copies=2)
    streams = [tuple(stream) for row in seen.values() for stream in row]
    assert len(set(streams)) == 4


def test_every_goal_is_drawn_about_equally_often():
    stream = goals_seen(("a",), episodes=5000)["a"][0]
    counts = np.bincount(stream, minlength=50)
    assert len(counts) == 50
    assert counts.min() > 60
    assert counts.max() < 145


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_names_the_task_and_moves_nothing(bad):
    env, rows = training()
    env.reset()
    action = zeros()
    action[1, 1] = bad
    with pytest.raises(
        FloatingPointError, match=r"task b, copy 1, step 1: the action must be finite.*diverged"
    ):
        env.step(action)
    assert [task.time for row in rows for task in row] == [0] * 4


def test_an_action_of_another_shape_is_refused():
    env, _ = training()
    env.reset()
    with pytest.raises(ValueError, match=r"shape \(2, 2, 1\).*found \(2, 1\)"):
        env.step(np.zeros((2, 1), np.float32))


def test_a_reward_that_is_not_finite_names_task_and_step():
    env, rows = training()
    env.reset()
    env.step(zeros())
    rows[1][0].reward = float("nan")
    with pytest.raises(
        FloatingPointError,
        match="task b, copy 0, step 2: the reward must be finite, in float32 too, found nan",
    ):
        env.step(zeros())


def test_training_must_be_reset_before_it_is_stepped():
    env, _ = training()
    with pytest.raises(RuntimeError, match="reset"):
        env.step(zeros())


def test_a_task_that_raises_is_named_with_the_cause():
    env, rows = training()
    env.reset()
    rows[1][1].breaks_at = 2
    env.step(zeros())
    with pytest.raises(EnvironmentFailedError, match=r"task b, copy 1 raised ArithmeticError: broken at 2"):
        env.step(zeros())


def evaluation():
    return SuiteEvaluationEnv(spec_of(("a", "b")), [CountingTask, CountingTask])


def act(env, slot, value):
    step = env.advance({}, {slot: np.array([value], np.float32)})
    return step.obs[slot], step.reward[slot], step.ended[slot], step.success[slot]


def test_the_evaluator_chooses_task_and_goal():
    env = evaluation()
    first = env.advance({5: (1, 42)}, {}).obs[5]
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, [42, 0, 0])
    obs, reward, ended, success = act(env, 5, 0.5)
    np.testing.assert_array_equal(obs, [42, 1, 0.5])
    assert (reward, ended, success) == (1.0, False, False)
    assert act(env, 5, 0.5)[2:] == (False, True)
    assert act(env, 5, 0.5)[2:] == (True, False)


def test_some_slots_begin_while_others_step_and_the_rest_stand_still():
    env = evaluation()
    env.advance({0: (0, 1), 1: (1, 2), 2: (0, 3)}, {})
    step = env.advance({1: (0, 7)}, {0: np.array([0.5], np.float32)})
    np.testing.assert_array_equal(step.obs[:3], [[1, 1, 0.5], [7, 0, 0], [3, 0, 0]])
    assert act(env, 2, 0.25)[0].tolist() == [3, 1, 0.25]


def test_an_evaluation_episode_cannot_go_on_after_its_end_nor_before_its_start():
    env = evaluation()
    with pytest.raises(RuntimeError, match="slot 0 has no running episode"):
        act(env, 0, 0)
    env.advance({0: (0, 0)}, {})
    assert act(env, 0, 9)[2]
    with pytest.raises(RuntimeError, match="slot 0 has no running episode"):
        act(env, 0, 0)


def test_evaluation_refuses_nonfinite_actions_goals_and_tasks():
    env = evaluation()
    env.advance({0: (0, 0)}, {})
    with pytest.raises(FloatingPointError, match="task a, evaluation, step 1: the action must be finite"):
        act(env, 0, np.nan)
    with pytest.raises(ValueError, match=r"shape \(1,\), found \(1, 1\)"):
        env.advance({}, {0: np.zeros((1, 1), np.float32)})
    with pytest.raises(IndexError, match=r"goal must lie in 0..49, found 50"):
        env.advance({0: (0, 50)}, {})
    with pytest.raises(IndexError, match=r"task must lie in 0..1, found -1"):
        env.advance({0: (-1, 0)}, {})


@pytest.mark.parametrize("workers", [-1, 5, "many", 1.5, True, None])
def test_a_number_of_workers_that_makes_no_sense_is_refused(workers):
    with pytest.raises(UsageError, match=r"workers must be .* 0 to 4, found .*auto is usual"):
        choose_workers(workers, 4)


def test_automatic_workers_are_one_per_core_and_none_on_a_single_core(monkeypatch):
    for cores, environments, expected in ((1, 10, 0), (2, 10, 2), (64, 10, 10)):
        monkeypatch.setattr("mtrl.envs.counts.available_cores", lambda cores=cores: cores)
        assert choose_workers("auto", environments) == expected
