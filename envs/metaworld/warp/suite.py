"""Builds Meta-World's tasks as worlds of MuJoCo Warp, for learners on the same device."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

import torch

from mtrl.envs.counts import require_environments
from mtrl.envs.metaworld.suite import MetaWorldSuite
from mtrl.envs.metaworld.warp.settings import SETTINGS, warning_of
from mtrl.errors import require
from mtrl.types import DeviceEnv

MAX_WORLDS = 1_000_000  # of all tasks
PACKAGES = ("mujoco-warp", "warp-lang")


class WarpSuite(MetaWorldSuite):
    """The tasks, goals and goal streams of a :class:`MetaWorldSuite`, trained on in worlds on the device.

    Training needs MuJoCo Warp. Where it is missing, the suite still evaluates what was trained, in
    Meta-World's own environments; where it is there, evaluations are played in Warp too.

    Args:
        task_names: such as ``reach-v3``.
        seed: of the goals and of the order in which training visits them.
        copies: worlds of each task.
        reward: version "v2" alone.
        horizon: steps after which an episode is truncated, at most 500.
        workers: processes of an evaluation in Meta-World's own environments.
        fast: of those too.

    Raises:
        UsageError: for an argument that is not acceptable.
    """

    def __init__(self, task_names: Sequence[str], *, seed: int, copies: int = 1, **kw: Any) -> None:
        super().__init__(task_names, seed=seed, **kw)
        require_environments(len(self.spec.task_names), copies, MAX_WORLDS)
        require(
            self._reward == "v2",
            f"reward must be v2 with env.simulator=warp, found {self._reward!r}: only its rewards are there",
        )
        self._copies = copies

    def require_simulator(self) -> None:
        """Raise :class:`~mtrl.errors.UsageError` where MuJoCo Warp is missing, without which none trains."""
        versions = simulator_versions()
        missing = [name for name in PACKAGES if name not in versions]
        require(
            not missing,
            f"env.simulator=warp needs the package {' and '.join(missing)}, which no environment has beside "
            "the benchmark's MuJoCo: make warp builds one of its own; here simulate with "
            "env.simulator=mujoco",
        )

    @property
    def warning(self) -> str | None:
        """What to say before training; None for nothing."""
        return warning_of(self.spec.task_names, self.spec.horizon)

    def worlds(self, device: torch.device, copies: int | None = None) -> DeviceEnv:
        """Worlds on ``device`` for training, or ``copies`` of each task for an evaluation.

        Raises:
            UsageError: where MuJoCo Warp is missing.
        """
        self.require_simulator()
        from mtrl.envs.metaworld.warp.task_worlds import TaskWorlds
        from mtrl.envs.metaworld.warp.vector import WarpVector

        if device.type == "cuda" and device.index is None:  # Warp wants its number
            device = torch.device("cuda", torch.cuda.current_device())
        count = self._copies if copies is None else copies
        tasks = [TaskWorlds(resets, task, count, device) for resets, task in self._resets]
        return WarpVector(self.spec, tasks, copies=count, seed=self._seed, device=device)

    @cached_property
    def _resets(self) -> list[Any]:
        """What the library's resets lead to, and rewards, by task."""
        from mtrl.envs.metaworld.warp.resets import take_resets
        from mtrl.envs.metaworld.warp.tasks import task_class

        found = []
        for name, recipe in zip(self.spec.task_names, self._recipes, strict=True):
            library = recipe()
            task = task_class(name)(library.env.model)
            found.append((take_resets(library, task, self.spec.num_goals), task))
        return found

    def evaluation_env(self) -> Any:
        """Meta-World's own environments where the benchmark's MuJoCo is installed, else worlds."""
        if "mujoco-warp" in simulator_versions():
            return WorldsToEvaluateIn(self)
        return super().evaluation_env()

    def describe(self) -> dict[str, Any]:
        """Facts for the run's manifest, as plain JSON values."""
        facts = {"name": "MuJoCo Warp", "versions": simulator_versions(), "settings": SETTINGS}
        return super().describe() | {"simulator": facts, "copies": self._copies}


class WorldsToEvaluateIn:
    """Opens worlds for the episodes of an evaluation, and keeps them for the next of as many.

    Args:
        suite: whose worlds.
    """

    facts: ClassVar = {"simulator": "MuJoCo Warp"}  # for the records of evaluations
    note = (
        "that is success in MuJoCo Warp; the benchmark's own figure comes from Meta-World's environments, "
        "where MuJoCo Warp is not installed"
    )

    def __init__(self, suite: WarpSuite) -> None:
        self._suite = suite
        self._worlds: DeviceEnv | None = None

    def worlds(self, device: torch.device, copies: int) -> DeviceEnv:
        """Environments for ``copies`` episodes of each task at once."""
        if self._worlds is None or self._worlds.copies != copies:
            self.close()
            self._worlds = self._suite.worlds(device, copies)
        return self._worlds

    def close(self) -> None:
        """Give up the memory."""
        if self._worlds is not None:
            self._worlds.close()
        self._worlds = None


def simulator_versions() -> dict[str, str]:
    """The versions of Warp's packages that are installed."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
