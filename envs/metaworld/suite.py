"""Builds Meta-World's multi-task benchmarks from its single environments, not from its vector ones."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import version
from typing import Any

from mtrl.envs.counts import choose_workers, require_environments
from mtrl.envs.metaworld.camera import Camera
from mtrl.envs.metaworld.goals import GOALS_PER_TASK
from mtrl.envs.metaworld.task import MetaWorldRecipe, MetaWorldTask
from mtrl.envs.suite import SuiteEvaluationEnv, SuiteTrainingEnv
from mtrl.errors import UsageError, require
from mtrl.types import SuiteSpec
from mtrl.validation import require_choice, require_flag, require_integer

MAX_HORIZON = 500  # the library refuses to step further
MAX_ENVIRONMENTS = 2000  # at 30 MB each
CAMERA = "corner2"  # the usual one
BENCHMARKS = ("MT10", "MT25", "MT50")
SIMULATORS = ("mujoco", "warp")


class MetaWorldSuite:
    """Meta-World tasks, 50 goals each, for training and for evaluation.

    Building the suite only checks its arguments. The goals are drawn when the first environment is
    built, and are the same ones in all environments of the suite.

    Args:
        task_names: such as ``reach-v3``; they are the tasks of everything, in this order.
        seed: of the goals and of the order in which training visits them.
        copies: training environments per task.
        reward: version "v2" (0 to 10 on every task) or "v1" (task-specific, up to hundreds and more).
        horizon: steps after which an episode is truncated, at most 500.
        workers: processes that step the environments, or "auto"; 0 steps them in this one. Neither the number
            nor ``fast`` changes any result.
        fast: step without the library's redundant work.

    Raises:
        UsageError: for an argument that is not acceptable.
    """

    steps_per_second = 80.0  # of simulated time

    def __init__(
        self,
        task_names: Sequence[str],
        *,
        seed: int,
        copies: int = 1,
        reward: str = "v2",
        horizon: int = 500,
        workers: int | str = "auto",
        fast: bool = True,
    ) -> None:
        names = _checked_names(task_names)
        seed = require_integer("seed", seed, 0, 2**32 - 1, "choose a small number such as 0")
        copies = require_environments(len(names), copies, MAX_ENVIRONMENTS)
        horizon = require_integer("horizon", horizon, 1, MAX_HORIZON, f"the benchmark's own is {MAX_HORIZON}")
        require(
            isinstance(reward, str) and reward in ("v1", "v2"),
            f"reward must be v1 or v2, found {reward!r}; v2 is the benchmark's default",
        )
        require_flag("fast", fast)
        self.spec = SuiteSpec(names, obs_size=39, action_size=4, horizon=horizon, num_goals=GOALS_PER_TASK)
        self._seed = seed
        self._copies = copies
        self._reward = reward
        self._training: Callable[[], SuiteTrainingEnv | None] = lambda: None  # the newest, while it is in use
        self.workers = choose_workers(workers, len(names) * copies)
        self._recipes = [
            MetaWorldRecipe(name, seed=seed, reward=reward, horizon=horizon, fast=fast) for name in names
        ]

    def training_env(self) -> SuiteTrainingEnv:
        """New environments, K tasks x n copies, about 30 MB each; they are built at the first reset."""
        env = SuiteTrainingEnv(
            self.spec, self._recipes, copies=self._copies, seed=self._seed, workers=self.workers
        )
        self._training = weakref.ref(env)
        return env

    def evaluation_env(self) -> SuiteEvaluationEnv:
        """New environments, apart from those of training; they are built when they are needed.

        The workers of training environments that are still open take turns at them.
        """
        training = self._training()
        lend = None if training is None else training.spare
        return SuiteEvaluationEnv(self.spec, self._recipes, workers=self.workers, lend=lend)

    def task(self, index: int) -> MetaWorldTask:
        """A new environment of one task, in this process, to look at."""
        return self._recipes[index]()

    def require_drawable(self, tasks: Sequence[int], no_backend: UsageError | None) -> None:
        """All tasks can be drawn where MuJoCo draws."""
        if no_backend is not None:
            raise no_backend

    def scene(self, index: int, camera: str | None, size: int) -> tuple[MetaWorldTask, Camera]:
        """A new environment of one task, and one of the library's cameras."""
        task = self.task(index)
        return task, Camera(task.env, camera or CAMERA, size)

    def describe(self) -> dict[str, Any]:
        """Facts for the run's manifest, as plain JSON values."""
        return {
            "suite": "Meta-World",
            "versions": {package: version(package) for package in ("metaworld", "mujoco", "gymnasium")},
            "tasks": list(self.spec.task_names),
            "reward": self._reward,
            "horizon": self.spec.horizon,
            "goals_per_task": self.spec.num_goals,
            "goals": f"those of metaworld.MT1(task, seed={self._seed}), for each task by itself",
            "goal_order": "uniform with replacement, one stream per (seed, task name, copy)",
            "success": "info['success'] at a step",
            "copies": self._copies,
        }


def mt1(task: str, *, simulator: str = "mujoco", **kw: Any) -> MetaWorldSuite:
    """One task. Keywords as for :func:`custom`."""
    require(isinstance(task, str), f"task must be one name, found {task!r}; for several use env=custom")
    return custom([task], simulator=simulator, **kw)


def benchmark(name: str, *, simulator: str = "mujoco", **kw: Any) -> MetaWorldSuite:
    """MT10, MT25 or MT50, the tasks in the library's order. Keywords as for :func:`custom`."""
    require_choice("name", name, BENCHMARKS)
    from metaworld import env_dict

    return custom(list(getattr(env_dict, f"{name}_V3")), simulator=simulator, **kw)


def custom(tasks: Sequence[str], *, simulator: str = "mujoco", **kw: Any) -> MetaWorldSuite:
    """Any tasks, in the order given.

    Args:
        tasks: their names.
        simulator: "mujoco" in processes of the CPU, or "warp" on the learner's device.
        **kw: as for :class:`MetaWorldSuite`.
    """
    require_choice("simulator", simulator, SIMULATORS)
    if simulator == "warp":
        from mtrl.envs.metaworld.warp.suite import WarpSuite  # which imports PyTorch

        return WarpSuite(tasks, **kw)
    return MetaWorldSuite(tasks, **kw)


def _checked_names(task_names: Sequence[str]) -> tuple[str, ...]:
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS

    a_list = isinstance(task_names, Sequence) and not isinstance(task_names, str)
    require(
        a_list,
        f"tasks must be a list of names, found {task_names!r}; write it as [push-v3, reach-v3]",
    )
    names = tuple(task_names)
    require(len(names) > 0, "tasks must name at least one task, found none; for example [push-v3, reach-v3]")
    for name in names:
        require(isinstance(name, str) and name in ALL_V3_ENVIRONMENTS, _unknown(name, ALL_V3_ENVIRONMENTS))
    repeated = sorted({name for name in names if names.count(name) > 1})
    require(
        not repeated,
        f"tasks must differ from each other, found {', '.join(repeated)} more than once; "
        "for several environments of one task set copies",
    )
    return names


def _unknown(name: object, choices: Collection[str]) -> str:
    close = difflib.get_close_matches(str(name), choices, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"task must be a Meta-World task, found {name!r}; {hint}choose from {', '.join(sorted(choices))}"
