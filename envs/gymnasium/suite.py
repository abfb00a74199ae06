"""Makes a suite of any Gymnasium environments with box spaces, a user's own classes among them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from mtrl.envs.counts import choose_workers, require_environments
from mtrl.envs.gymnasium.camera import RenderCamera, frames_per_second
from mtrl.envs.gymnasium.probe import Probe, probe
from mtrl.envs.gymnasium.task import GymnasiumRecipe, GymnasiumTask
from mtrl.envs.suite import SuiteEvaluationEnv, SuiteTrainingEnv
from mtrl.errors import UsageError, require
from mtrl.types import SuiteSpec
from mtrl.validation import require_integer, require_number

MAX_ENVIRONMENTS = 2000
MAX_STEPS = 100_000  # of an episode, whose actions are kept to come back to it
RESERVED = ("id", "max_episode_steps", "disable_env_checker", "render_mode")  # what is set elsewhere


class GymnasiumSuite:
    """Gymnasium environments of different sizes as tasks of one policy; goals are seeds of their resets.

    The suite is as wide as its widest task: the others' observations end in zeros, and what is left over of
    an action is ignored. Building the suite builds each environment once, to look at its spaces.

    Args:
        tasks: Gymnasium's ids, MODULE:ID, or MODULE.CLASS of one's own, in this order.
        seed: of the reset seeds and of the order in which training visits them.
        copies: training environments per task.
        horizon: steps after which an episode is truncated, one number or one per task; None takes the limit
            that an environment is registered with.
        success_return: an episode succeeds, at its last step, if its return is at least this, one number or
            one per task; None: ``info["success"]`` or ``info["is_success"]`` says at each step, and a task
            that has neither never succeeds.
        num_goals: reset seeds per task, drawn from the seed and the task's name.
        options: keyword arguments of environments, by task.
        workers: processes that step the environments, or "auto"; 0 steps them in this one. The number changes
            no result.

    Raises:
        UsageError: for an argument or an environment that is not acceptable.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        *,
        seed: int,
        copies: int = 1,
        horizon: int | Sequence[int | None] | None = None,
        success_return: float | Sequence[float | None] | None = None,
        num_goals: int = 50,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        workers: int | str = "auto",
    ) -> None:
        names = _checked_names(tasks)
        seed = require_integer("seed", seed, 0, 2**32 - 1, "choose a small number such as 0")
        copies = require_environments(len(names), copies, MAX_ENVIRONMENTS)
        num_goals = require_integer("num_goals", num_goals, 1, 100_000, "50 is usual")
        horizons = _per_task("horizon", horizon, names)
        thresholds = _per_task("success_return", success_return, names)
        for steps, least in zip(horizons, thresholds, strict=True):
            if steps is not None:
                require_integer("horizon", steps, 1, MAX_STEPS, "null takes the environment's own limit")
            if least is not None:
                require_number("success_return", least, remedy="null asks the environment's info")
        keywords = _checked_options(options, names)
        self.workers = choose_workers(workers, len(names) * copies)
        self._seed = seed
        self._copies = copies
        self._thresholds = thresholds
        self._training: Callable[[], SuiteTrainingEnv | None] = lambda: None  # the newest, while it is in use
        seeds = [_reset_seeds(seed, name, num_goals) for name in names]
        self._probes: list[Probe] = [
            probe(name, keywords.get(name, {}), steps, MAX_STEPS, own_seeds[0])
            for name, steps, own_seeds in zip(names, horizons, seeds, strict=True)
        ]
        obs_size = max(found.obs_size for found in self._probes)
        action_size = max(len(found.action_low) for found in self._probes)
        longest = max(found.horizon for found in self._probes)
        self.spec = SuiteSpec(names, obs_size, action_size, longest, num_goals)
        self._recipes = [
            GymnasiumRecipe(name, keywords.get(name, {}), own_seeds, found.horizon, least, obs_size)
            for name, own_seeds, found, least in zip(names, seeds, self._probes, thresholds, strict=True)
        ]

    def training_env(self) -> SuiteTrainingEnv:
        """New environments, K tasks x n copies; they are built at the first reset."""
        env = SuiteTrainingEnv(
            self.spec,
            self._recipes,
            copies=self._copies,
            seed=self._seed,
            workers=self.workers,
            note=self._note(),
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

    def task(self, index: int) -> GymnasiumTask:
        """A new environment of one task, in this process, to look at."""
        return self._recipes[index]()

    def require_drawable(self, tasks: Sequence[int], no_backend: UsageError | None) -> None:
        """Raise for an environment that has no pictures to give."""
        for index in tasks:
            name, found = self.spec.task_names[index], self._probes[index]
            modes = found.metadata.get("render_modes") or ()
            require(
                "rgb_array" in modes,
                f"task {name} cannot be drawn: its metadata['render_modes'] must name 'rgb_array', found "
                f"{list(modes)}; add it, and a render() that returns a picture",
            )
            if found.mujoco and no_backend is not None:
                raise no_backend

    @property
    def steps_per_second(self) -> float:
        """The rate of videos: that of the first task, whose steps the others keep."""
        return frames_per_second(self._probes[0].metadata)

    def scene(self, index: int, camera: str | None, size: int) -> tuple[GymnasiumTask, RenderCamera]:
        """A new environment of one task, and what draws it; it chooses its camera itself."""
        require(
            camera is None,
            f"a camera can be chosen for Meta-World only, found {camera}; here env.options may: "
            "{TASK: {camera_name: ...}} where the environment has such an option",
        )
        task = self._recipes[index](render_mode="rgb_array")
        return task, RenderCamera(task.env, self.spec.task_names[index], size)

    def describe(self) -> dict[str, Any]:
        """Facts for the run's manifest, as plain JSON values."""
        names = self.spec.task_names
        return {
            "suite": "Gymnasium",
            "versions": {
                package: found for package in ("gymnasium", "mujoco") if (found := _version(package))
            },
            "tasks": list(names),
            "spaces": {name: found.space() for name, found in zip(names, self._probes, strict=True)},
            "horizon": self.spec.horizon,
            "horizons": {name: found.horizon for name, found in zip(names, self._probes, strict=True)},
            "goals_per_task": self.spec.num_goals,
            "goals": f"seeds of reset(), from (seed={self._seed}, task name)",
            "goal_order": "uniform with replacement, one stream per (seed, task name, copy)",
            "success": dict(zip(names, map(_rule, self._thresholds), strict=True)),
            "copies": self._copies,
        }

    def _note(self) -> str:
        """What a person should know when training starts."""
        pairs = list(zip(self.spec.task_names, self._probes, self._thresholds, strict=True))
        silent = [name for name, found, least in pairs if least is None and not found.flagged]
        drifting = [name for name, found, _ in pairs if not found.repeatable]
        notes = []
        if silent:
            notes.append(
                f"no success in the info of {', '.join(silent)} at the first steps: without it a task counts "
                "as never solved, so read its return, or set env.success_return"
            )
        if drifting:
            notes.append(
                f"{', '.join(drifting)}: two episodes of one seed and the same actions differ, so a resumed "
                "run will differ too; draw from self.np_random alone, after super().reset(seed=seed)"
            )
        return "; ".join(notes)


def _checked_names(tasks: Any) -> tuple[str, ...]:
    a_list = isinstance(tasks, Sequence) and not isinstance(tasks, str)
    require(
        a_list, f"tasks must be a list of names, found {tasks!r}; write it as [HalfCheetah-v5, Hopper-v5]"
    )
    names = tuple(tasks)
    require(
        len(names) > 0,
        "tasks must name at least one task, found none; for example [HalfCheetah-v5, Hopper-v5]",
    )
    for name in names:
        valid = isinstance(name, str) and name.strip() != "" and name.isprintable()
        require(valid, f"tasks must be Gymnasium's ids or MODULE.CLASS of your own, found {name!r}")
    repeated = sorted({name for name in names if names.count(name) > 1})
    require(
        not repeated,
        f"tasks must differ from each other, found {', '.join(repeated)} more than once; for several "
        "environments of one task set copies, for a variant of one write a class or function of your own",
    )
    return names


def _per_task(name: str, value: Any, names: Sequence[str]) -> list[Any]:
    """One value per task."""
    if not isinstance(value, list | tuple):
        return [value] * len(names)
    require(
        len(value) == len(names),
        f"{name} must be one number or one for each of the {len(names)} tasks, found {list(value)}",
    )
    return list(value)


def _checked_options(options: Any, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    by_task = {} if options is None else options
    valid = isinstance(by_task, Mapping) and all(isinstance(value, Mapping) for value in by_task.values())
    require(
        valid,
        f"options must be keyword arguments by task, {{{names[0]}: {{width: 64}}}}, found {options!r}",
    )
    for name, keywords in by_task.items():
        require(
            name in names,
            f"options must be by task, {', '.join(names)}; found {name!r}",
        )
        taken = sorted(set(keywords) & set(RESERVED))
        require(
            not taken,
            f"options of {name} must not hold {', '.join(taken)}: env.horizon sets limits, record.py draws",
        )
    return {name: dict(keywords) for name, keywords in by_task.items()}


def _reset_seeds(seed: int, name: str, count: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng([seed, *name.encode()]).integers(2**31, size=count).tolist())


def _rule(least: float | None) -> str:
    return "info's success at a step" if least is None else f"return of at least {least:g} at the last step"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
