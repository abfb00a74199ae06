"""Train with an aggregator of your own, and use the policy:  python examples/train_from_python.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

import mtrl
from mtrl.aggregators import GramAggregator


class InverseNorm(GramAggregator):
    """Weights in inverse proportion to the norms of the gradients."""

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        raw = shares / gram.diagonal().sqrt().clamp(min=1e-12)  # [K]
        return raw / raw.sum()


def main(run_dir: str | Path = "runs/from_python", steps: int = 1000) -> None:
    """Train on the toy suite, or go on where an earlier call was interrupted, and ask the policy."""
    run = mtrl.Experiment(
        experiment="toy",
        aggregator=InverseNorm,
        critic_aggregator="pcgrad",
        agent={"learning_rate": 2e-3, "network": {"hidden": [32, 32]}},
        steps_per_task=steps,
        evaluation_interval=steps // 2,
        run_dir=run_dir,
        resume="auto",
    )
    run.train()
    policy = mtrl.load(run_dir)
    obs = np.zeros(policy.obs_size)  # what the environment returned
    print(f"after {policy.step} steps, the action of turn-90: {policy.act(obs, task='turn-90')}")


if __name__ == "__main__":  # worker processes import this file too
    main()
