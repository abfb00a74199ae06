"""Measures the success of a deterministic policy in environments on its device, all episodes at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from mtrl.training.graphs import Program, Recorder
from mtrl.types import DeviceEnv, Policy, SuiteSpec

LOOK = 25  # steps between two looks at whether any episode is left: each waits for the device


def play(
    policy: Policy, env: DeviceEnv, spec: SuiteSpec, say: Callable[[str], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Run goals 0 to n - 1 of every task, each until success or the time limit.

    Args:
        policy: acts deterministically.
        env: of n copies, separate from the training environments.
        spec: of its suite.
        say: told where no CUDA graph can be recorded.

    Returns:
        success [K, n] and returns [K, n], undiscounted.
    """
    device = env.obs.device
    goal = torch.arange(env.copies, device=device).expand(spec.num_tasks, -1)  # [K, n]
    running = torch.ones_like(env.success)
    returns = torch.zeros_like(env.reward, dtype=torch.float64)

    def act() -> None:
        with torch.no_grad():
            env.action.copy_(policy.act(env.obs, deterministic=True))
        env.act()

    def count() -> None:
        env.observe(False)
        returns.add_(torch.where(running, env.reward, 0.0))
        running.logical_and_(~env.success)

    recorder = Recorder(device, (), strict=False, say=say) if device.type == "cuda" else None
    acting, counting = (Program(part, recorder) for part in (act, count))
    env.begin_at(goal)
    for step in range(spec.horizon):
        acting()
        env.simulate()
        env.join()
        counting()
        if step % LOOK == LOOK - 1 and not bool(running.any()):
            break
    return (~running).cpu().numpy(), returns.cpu().numpy()
