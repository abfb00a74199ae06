"""Measures the success of a deterministic policy, visiting every goal of every task once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtrl.errors import EnvironmentFailedError, EpisodesLostError, endless, require
from mtrl.training.device_evaluation import play
from mtrl.types import EvaluationEnv, FloatArray, Policy, SuiteSpec

Episode = tuple[int, int]  # task, goal
MAX_EPISODES = 16  # at once, unless 4 per task are more: several of one task leave other tasks' rows empty


@dataclass(frozen=True)
class Evaluation:
    """Outcome of E episodes per task."""

    task_names: tuple[str, ...]
    success: NDArray[np.bool_]  # [K, E], at any step of the episode
    returns: NDArray[np.float64]  # [K, E], undiscounted, up to success or the time limit

    @property
    def success_rates(self) -> NDArray[np.float64]:
        """The share of each task's episodes that succeeded, [K]."""
        return self.success.mean(axis=1)

    @property
    def mean_success(self) -> float:
        """The success rate averaged over all tasks."""
        return float(self.success_rates.mean())

    def as_record(self) -> dict[str, Any]:
        """The outcome for JSON: episodes, each task's success and return, mean success."""
        mean_returns = self.returns.mean(axis=1)
        return {
            "episodes_per_task": int(self.success.shape[1]),
            "mean_success": self.mean_success,
            "success": dict(zip(self.task_names, self.success_rates.tolist(), strict=True)),
            "return": dict(zip(self.task_names, mean_returns.tolist(), strict=True)),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Evaluation:
        """An evaluation with the rates and mean returns of a record, which has no single episodes."""
        rates, returns = record["success"], record["return"]
        episodes = np.arange(int(record["episodes_per_task"]))  # [E]
        counts = np.array([round(rate * len(episodes)) for rate in rates.values()])  # [K]
        each = np.repeat([[value] for value in returns.values()], len(episodes), axis=1)
        return cls(tuple(rates), episodes < counts[:, None], each)


def evaluate(
    policy: Policy,
    env: EvaluationEnv,
    spec: SuiteSpec,
    episodes: int,
    device: torch.device,
    say: Callable[[str], None] = print,
) -> Evaluation:
    """Run goals 0 to ``episodes`` - 1 of every task once, each episode ended at success.

    All running episodes advance together, one forward pass per step. A slot whose episode ends takes the
    next goal of its task, or, if none is left, of the task with the most goals left. Which episodes share a
    forward pass depends on their outcomes alone, so the result does not depend on which process steps them.

    Args:
        policy: acts deterministically.
        env: separate from the training environments.
        spec: of the suite that ``env`` belongs to.
        episodes: per task, at most the number of goals.
        device: of the policy.
        say: told when episodes have to start again.
    """
    require(
        1 <= episodes <= spec.num_goals,
        f"episodes must be between 1 and the {spec.num_goals} goals of each task, found {episodes}: "
        "an evaluation visits a goal at most once",
    )
    if hasattr(env, "worlds"):  # which are on the device
        return Evaluation(spec.task_names, *play(policy, env.worlds(device, episodes), spec, say))
    success = np.zeros((spec.num_tasks, episodes), dtype=np.bool_)
    returns = np.zeros((spec.num_tasks, episodes))
    agenda = _Agenda(spec.num_tasks, episodes)
    starts: dict[int, Episode] = {}
    for slot in range(env.slots):
        if (episode := agenda.next(slot % spec.num_tasks)) is not None:
            starts[slot] = episode
    running: dict[int, Episode] = {}  # by slot
    length = np.zeros(env.slots, np.int64)  # [S], steps of the episode
    obs = np.zeros((env.slots, spec.obs_size), np.float32)  # [S, O]
    while running or starts:
        actions = _act(policy, obs, running, spec.num_tasks, device) if running else {}
        try:
            step = env.advance(starts, actions)
        except EpisodesLostError as error:
            say(str(error))
            starts, running = running | starts, {}
            for task, goal in starts.values():
                returns[task, goal] = 0.0
            continue
        obs = step.obs
        begun, starts = starts, {}
        for slot, (task, goal) in tuple(running.items()):
            returns[task, goal] += step.reward[slot]
            length[slot] += 1
            if not (step.ended[slot] or step.success[slot]):
                if length[slot] >= spec.horizon:
                    raise EnvironmentFailedError(endless(spec.task_names[task], spec.horizon))
                continue
            success[task, goal] = step.success[slot]
            del running[slot]
            agenda.ended(task)
            if (episode := agenda.next(task)) is not None:
                starts[slot] = episode
        running |= begun
        length[list(begun)] = 0
    return Evaluation(spec.task_names, success, returns)


class _Agenda:
    """The episodes still to be run."""

    def __init__(self, num_tasks: int, episodes: int) -> None:
        self._goals = [deque(range(episodes)) for _ in range(num_tasks)]
        self._running = [0] * num_tasks
        self._limit = max(4, MAX_EPISODES // num_tasks)  # episodes of one task at once

    def next(self, task: int) -> Episode | None:
        """The next goal of ``task``, else of the task with the most goals left; None where none may start."""
        if not self._goals[task]:
            open_tasks = [k for k, count in enumerate(self._running) if count < self._limit]
            task = max(open_tasks, key=lambda k: len(self._goals[k]), default=task)
        if not self._goals[task]:
            return None
        self._running[task] += 1
        return task, self._goals[task].popleft()

    def ended(self, task: int) -> None:
        """Note that an episode of ``task`` has ended."""
        self._running[task] -= 1


def on_host(policy: Policy, device: torch.device) -> Callable[[FloatArray], FloatArray]:
    """The policy without noise as a function from host arrays [K, n, O] to [K, n, A]."""

    def act(obs: FloatArray) -> FloatArray:
        with torch.no_grad():
            return policy.act(torch.from_numpy(obs).to(device), deterministic=True).cpu().numpy()

    return act


def _act(
    policy: Policy, obs: FloatArray, running: dict[int, Episode], num_tasks: int, device: torch.device
) -> dict[int, FloatArray]:
    """Actions [A] by slot, from one forward pass over [K, m, O] with up to m episodes of a task."""
    columns: dict[int, tuple[int, int]] = {}
    counts = [0] * num_tasks
    for slot, (task, _) in running.items():
        columns[slot] = (task, counts[task])
        counts[task] += 1
    batch = np.zeros((num_tasks, max(counts), obs.shape[1]), np.float32)  # [K, m, O]
    for slot, place in columns.items():
        batch[place] = obs[slot]
    actions = on_host(policy, device)(batch)
    return {slot: actions[place] for slot, place in columns.items()}
