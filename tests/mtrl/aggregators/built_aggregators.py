"""Every aggregator, built from the configuration folder: a new file there is under test at once."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mtrl.aggregators import Aggregator
from mtrl.config.registry import build_method, method_names
from mtrl.testing.cases import Case, losses, matrix

__all__ = ["losses", "matrix"]  # for the tests of single methods

FOLDER = Path(__file__).parents[3] / "configs" / "aggregator"
METHODS = sorted(path.stem for path in FOLDER.glob("*.yaml"))

# What a method's docstring says is exempt.
SCALE_DEPENDENT = {"dynamic_weighting", "moco", "torchjd"}
WAITS_FOR_THE_DEVICE = {"torchjd"}
EXEMPT = {name: {"scale"} for name in SCALE_DEPENDENT} | {"torchjd": {"scale", "masked", "device", "compile"}}


def build(method: str, num_tasks: int, **options: Any) -> Aggregator:
    if method not in method_names():
        pytest.skip("needs torchjd[full]")
    return build_method(method, num_tasks, **options)


@functools.cache
def case(method: str) -> Case:
    """What checks of the contract are given, for four tasks."""
    factor = 1.5 if "cagrad" in method else 1.0  # 1 + c
    return Case(functools.partial(build, method), 4, factor)


def vector(aggregator: Aggregator, gradients: Tensor, values: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return aggregator(gradients, values).vector
