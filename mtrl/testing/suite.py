"""Checks a suite of your own by one call."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np

from mtrl.testing.failure import ContractError, hold
from mtrl.types import FloatArray, Step, Suite, TrainingEnv

LONG = 20_000  # steps of all environments together; a horizon that takes more is not waited for


def spec(suite: Suite) -> None:
    """Names and sizes are those of a suite."""
    found = suite.spec
    names = found.task_names
    hold(len(names) > 0, "spec.task_names must name at least one task")
    hold(len(set(names)) == len(names), f"spec.task_names must all be different, found {list(names)}")
    for size in ("obs_size", "action_size", "horizon", "num_goals"):
        value = getattr(found, size)
        valid = isinstance(value, int) and value >= 1
        hold(valid, f"spec.{size} must be a positive integer, found {value!r}")


def description(suite: Suite) -> None:
    """Facts for the manifest are plain JSON."""
    facts = suite.describe()
    try:
        json.dumps(facts)
    except (TypeError, ValueError) as error:
        raise ContractError(f"describe() must be plain JSON for the run's manifest: {error}") from error
    missing = sorted({"suite", "tasks"} - facts.keys())
    hold(not missing, f"describe() must have 'suite', a name, and 'tasks'; missing: {', '.join(missing)}")
    names = list(suite.spec.task_names)
    hold(
        list(facts["tasks"]) == names, f"describe()['tasks'] must be spec.task_names, found {facts['tasks']}"
    )


def shapes(suite: Suite) -> None:
    """Arrays have the shapes and types that the replay takes, and are never overwritten."""
    with closing(suite.training_env()) as env:
        rows = (suite.spec.num_tasks, env.copies)
        wide = (*rows, suite.spec.obs_size)
        _array("reset()", env.reset(), wide, np.float32)
        first = _step(env, suite, 0)
        for name, shape, kind in (
            ("next_obs", wide, np.float32), ("obs", wide, np.float32), ("reward", rows, np.float32),
            ("terminated", rows, np.bool_), ("truncated", rows, np.bool_), ("success", rows, np.bool_),
        ):  # fmt: skip
            _array(f"Step.{name}", getattr(first, name), shape, kind)
        kept = [array.copy() for array in first]
        _step(env, suite, 1)
        for name, array, copy in zip(Step._fields, first, kept, strict=True):
            hold(
                np.array_equal(array, copy), f"Step.{name} of an earlier step was overwritten: return copies"
            )


def episodes(suite: Suite) -> None:
    """An episode ends at the horizon at the latest, keeps its last observation, and another begins."""
    horizon = suite.spec.horizon
    with closing(suite.training_env()) as env:
        obs = env.reset()
        if obs.shape[0] * obs.shape[1] * horizon > LONG:
            return
        length = np.zeros(obs.shape[:2], np.int64)
        for index in range(horizon + 1):
            step = _step(env, suite, index)
            length += 1
            ended = step.terminated | step.truncated
            why = f"at step {index + 1}"
            going_on = np.array_equal(step.obs[~ended], step.next_obs[~ended])
            hold(going_on, f"{why}, obs must be next_obs where the episode goes on")
            late = (length >= horizon) & ~ended
            hold(not late.any(), f"{why}, an episode must be truncated after spec.horizon = {horizon} steps")
            early = step.truncated & (length < horizon)
            hold(not early.any(), f"{why}, truncated before spec.horizon: what ends a task is terminated")
            length[ended] = 0


def repeats(suite: Suite) -> None:
    """Two new environments do the same, and one goes on from the other's state, to the last bit."""
    with closing(suite.training_env()) as first, closing(suite.training_env()) as second:
        why = "two environments of one suite must draw the same goals: from its seed and the task's name"
        hold(np.array_equal(first.reset(), second.reset()), why)
        count = min(suite.spec.horizon + 2, 12)
        for index in range(count):
            last = _step(first, suite, index)
        state = first.state_dict()
        obs = second.load_state_dict(state)
        if obs is None:
            return
        hold(
            np.array_equal(obs, last.obs),
            "load_state_dict() must return what to act on next, the same to the last bit",
        )
        for index in range(count, 2 * count):
            one, other = (_step(env, suite, index) for env in (first, second))
            for name, here, there in zip(Step._fields, one, other, strict=True):
                hold(
                    np.array_equal(here, there),
                    f"Step.{name} must be the same to the last bit after load_state_dict(), as a resume is",
                )


def evaluation(suite: Suite) -> None:
    """Episodes of a chosen task and goal are a function of both and of the actions."""
    count, goals = suite.spec.num_tasks, suite.spec.num_goals
    for task in range(count):
        runs = [_episode(suite, task, goals - 1) for _ in range(2)]
        for one, other in zip(*runs, strict=True):
            hold(
                np.array_equal(one, other),
                f"task {suite.spec.task_names[task]}: an episode must be a function of its goal and actions "
                "alone: draw from what the goal seeds, and keep nothing from the episode before",
            )


def _episode(suite: Suite, task: int, goal: int) -> list[Any]:
    """What the slots say of an episode, after one of another goal."""
    with closing(suite.evaluation_env()) as env:
        hold(env.slots >= 1, f"evaluation_env().slots must be at least 1, found {env.slots}")
        slot = env.slots - 1
        seen: list[Any] = []
        env.advance({slot: (task, 0)}, {})
        env.advance({}, {slot: _actions(suite, 1, 7)[0]})
        begun = env.advance({slot: (task, goal)}, {})
        _array("EvaluationStep.obs", begun.obs, (env.slots, suite.spec.obs_size), np.float32)
        seen.append(begun.obs[slot].copy())
        for index in range(min(suite.spec.horizon, 5)):
            step = env.advance({}, {slot: _actions(suite, 1, index)[0]})
            seen += [step.obs[slot].copy(), step.reward[slot], step.success[slot], step.ended[slot]]
            if step.ended[slot]:
                break
    return seen


def _step(env: TrainingEnv, suite: Suite, seed: int) -> Step:
    rows = suite.spec.num_tasks * env.copies
    env.send(_actions(suite, rows, seed).reshape(suite.spec.num_tasks, env.copies, -1))
    return env.receive()


def _actions(suite: Suite, rows: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (rows, suite.spec.action_size)).astype(np.float32)


def _array(name: str, found: Any, shape: tuple[int, ...], kind: Any) -> None:
    hold(isinstance(found, np.ndarray), f"{name} must be a NumPy array, found {type(found).__name__}")
    hold(found.shape == shape, f"{name} must have shape {list(shape)}, found {list(found.shape)}")
    hold(found.dtype == kind, f"{name} must be {np.dtype(kind).name}, found {found.dtype}")
    hold(bool(np.isfinite(found).all()), f"{name} must be finite")


CHECKS: dict[str, Callable[[Suite], None]] = {
    "spec": spec,
    "description": description,
    "shapes": shapes,
    "episodes": episodes,
    "repeats": repeats,
    "evaluation": evaluation,
}


def check_suite(suite: Suite) -> None:
    """Check a suite by steps of its environments under random actions of fixed seeds.

    Give it a short horizon where it has one to choose: episodes are then played to their end.

    Raises:
        ContractError: saying what is broken, and why it matters.
    """
    for check in CHECKS.values():
        check(suite)
