"""Evaluations in the workers of training: nothing of either disturbs the other, and what fails is named."""

import sys
import types
from functools import partial

import numpy as np
import pytest

from mtrl.envs.suite import SuiteEvaluationEnv, SuiteTrainingEnv
from mtrl.errors import EnvironmentFailedError, EpisodesLostError, UsageError
from mtrl.types import SuiteSpec
from tests.envs.counting import CountingTask

SPEC = SuiteSpec(("a", "b", "c"), obs_size=3, action_size=1, horizon=3, num_goals=50)
STEP = np.zeros((3, 2, 1), np.float32)


def both(workers, recipe=CountingTask):
    training = SuiteTrainingEnv(SPEC, [recipe] * 3, copies=2, seed=0, workers=workers)
    return training, SuiteEvaluationEnv(SPEC, [recipe] * 3, workers=workers, lend=training.spare)


def processes(env):
    return [process.pid for process in env._vector.pool._processes]


def played(training, evaluation):
    """What both say while they take turns."""
    found = [training.reset()]
    starts = {slot: (slot % 3, slot) for slot in range(evaluation.slots)}
    for round in range(4):
        found += training.step(STEP + round)
        found += evaluation.advance(starts, {} if starts else dict.fromkeys(range(5), STEP[0, 0]))[:2]
        starts = {} if round % 2 == 0 else {1: (2, 7)}
    return found


def test_evaluations_share_the_workers_and_change_nothing():
    training, evaluation = both(2)
    shared = played(training, evaluation)
    assert processes(training) == processes(evaluation)
    assert "2 workers, which evaluate too" in training.summary()
    training.close()
    evaluation.close()
    for ours, theirs in zip(shared, played(*both(0)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_worker_lost_in_an_evaluation_ends_the_episodes_of_training_too():
    training, evaluation = both(1)
    training.reset()
    evaluation.advance({0: (0, 1)}, {})
    with pytest.raises(EpisodesLostError, match="task a, evaluation: raised ArithmeticError"):
        evaluation.advance({}, {0: np.full(1, 8, np.float32)})
    training.send(STEP)
    with pytest.raises(EpisodesLostError, match="task a, evaluation"):
        training.receive()
    training.reset()
    training.step(STEP)
    evaluation.advance({0: (0, 1)}, {})
    training.close()
    evaluation.close()


def test_what_another_process_cannot_have_is_refused_with_the_remedy(monkeypatch):
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    main.Mine = type("Mine", (CountingTask,), {"__module__": "__main__"})
    for recipe, words in ((main.Mine, "cannot import Mine of __main__"), (lambda: None, "cannot have these")):
        with pytest.raises(UsageError, match=rf"{words}.* module of its own, or set env.workers=0"):
            both(1, recipe)


def test_a_module_that_a_worker_cannot_import_is_named(monkeypatch):
    nowhere = types.ModuleType("nowhere_to_be_found")
    monkeypatch.setitem(sys.modules, "nowhere_to_be_found", nowhere)
    nowhere.Mine = type("Mine", (CountingTask,), {"__module__": "nowhere_to_be_found"})
    training, _ = both(1, partial(nowhere.Mine))
    with pytest.raises(EnvironmentFailedError, match="No module named 'nowhere_to_be_found'"):
        training.reset()
    training.close()
