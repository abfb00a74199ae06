"""Success rates of a deterministic policy, every goal visited once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtrl.errors import require
from mtrl.types import EvaluationEnv, Policy, SuiteSpec


@dataclass(frozen=True)
class Evaluation:
    """Outcome of E episodes per task."""

    task_names: tuple[str, ...]
    success: NDArray[np.bool_]  # [K, E], at any step of the episode
    returns: NDArray[np.float64]  # [K, E], undiscounted, up to success or the time limit

    @property
    def success_rates(self) -> NDArray[np.float64]:
        """Per task, [K]."""
        return self.success.mean(axis=1)

    @property
    def mean_success(self) -> float:
        """Over all tasks."""
        return float(self.success_rates.mean())

    def as_record(self) -> dict[str, Any]:
        """For JSON: episodes, per-task success and return, mean success."""
        mean_returns = self.returns.mean(axis=1)
        return {
            "episodes_per_task": int(self.success.shape[1]),
            "mean_success": self.mean_success,
            "success": dict(zip(self.task_names, self.success_rates.tolist(), strict=True)),
            "return": dict(zip(self.task_names, mean_returns.tolist(), strict=True)),
        }


def evaluate(
    policy: Policy, env: EvaluationEnv, spec: SuiteSpec, episodes: int, device: torch.device
) -> Evaluation:
    """Run goals 0 to ``episodes`` - 1 of every task once, each episode ended at success.

    All tasks advance together, one forward pass per step; a task whose episode ends goes on to its
    next goal at once, so none waits for another.

    Args:
        policy: acts deterministically.
        env: separate from the training environments.
        spec: of the suite that ``env`` belongs to.
        episodes: per task, at most the number of goals.
        device: of the policy.
    """
    require(
        1 <= episodes <= spec.num_goals,
        f"episodes must be between 1 and the {spec.num_goals} goals of each task, found {episodes}: "
        "an evaluation visits a goal at most once",
    )
    num_tasks = spec.num_tasks
    success = np.zeros((num_tasks, episodes), dtype=np.bool_)
    returns = np.zeros((num_tasks, episodes))
    goal = [0] * num_tasks
    obs = np.stack([env.reset(task, 0) for task in range(num_tasks)])  # [K, O]
    running = list(range(num_tasks))
    while running:
        with torch.no_grad():
            batch = torch.from_numpy(obs).to(device)[:, None]  # [K, 1, O]
            actions = policy.act(batch, deterministic=True)[:, 0].cpu().numpy()  # [K, A]
        for task in tuple(running):
            obs[task], reward, done, succeeded = env.step(task, actions[task])
            returns[task, goal[task]] += reward
            if not (done or succeeded):
                continue
            success[task, goal[task]] = succeeded
            goal[task] += 1
            if goal[task] == episodes:
                running.remove(task)
            else:
                obs[task] = env.reset(task, goal[task])
    return Evaluation(spec.task_names, success, returns)
