"""Loads an optimiser's moments from a checkpoint, keeping the options of the run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtrl.errors import require


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the moments and step counts of ``state``; keep the options that ``optimizer`` was built with.

    Rates are the configuration's, and where step counts lie is the device's.

    Raises:
        UsageError: for moments that are not their parameter's.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, moments in state["state"].items():
        require(index in range(len(parameters)), f"the optimiser has no parameter {index!r}")
        shape = parameters[index].shape
        expected = {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}
        found = {name: value.shape for name, value in moments.items() if isinstance(value, Tensor)}
        require(
            found == expected and len(moments) == len(expected),
            f"the optimiser's moments must have the shapes {_shown(expected)}, found {_shown(found)}",
        )
    own = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["state"], "param_groups": own})


def _shown(shapes: dict[str, torch.Size]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in sorted(shapes.items()))
