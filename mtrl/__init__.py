"""Multi-task reinforcement learning with gradient aggregation."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from mtrl.gradients.backward import backward
    from mtrl.runs.policy import RunPolicy

__version__ = "0.2.0"
__all__ = ["backward", "load"]


def load(
    run_dir: str | Path,
    *,
    step: int | None = None,
    device: str = "cpu",
    network: Callable[..., nn.Module] | None = None,
) -> RunPolicy:
    """The policy of a run, for use elsewhere: ``mtrl.load(RUN_DIR).act(obs, task="door-open-v3")``.

    Neither Hydra nor Meta-World is imported, and nothing that the directory names is called.

    Args:
        run_dir: where ``train.py`` wrote.
        step: of the checkpoint; None for the newest that is whole.
        device: auto, cpu, cuda or cuda:N.
        network: the class of a network of your own, where the run was trained with one; its options come from
            the run.

    Raises:
        UsageError: if there is no such run, no checkpoint, or it does not fit its configuration.
    """
    # By name, since the core does not depend on the agents: this one function hands on to them.
    policy: RunPolicy = import_module("mtrl.agents.load").load(
        run_dir, step=step, device=device, network=network
    )
    return policy


def __getattr__(name: str) -> Any:
    # On first use, so that importing a light part of the package, such as the types, stays cheap.
    if name == "backward":
        from mtrl.gradients.backward import backward

        return backward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
