"""Every aggregator, built from the configuration folder: a new file there is under test at once."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mtrl.aggregators import Aggregator
from mtrl.config.registry import build_method, method_names

FOLDER = Path(__file__).parents[3] / "configs" / "aggregator"
METHODS = sorted(path.stem for path in FOLDER.glob("*.yaml"))

# What a method's docstring says is exempt.
SCALE_DEPENDENT = {"dynamic_weighting", "moco", "torchjd"}
MASKED_COUNTS_AS_ZERO = {"torchjd"}
WAITS_FOR_THE_DEVICE = {"torchjd"}


def build(method: str, num_tasks: int, **options: Any) -> Aggregator:
    if method not in method_names():
        pytest.skip("needs torchjd[full]")
    return build_method(method, num_tasks, **options)


_four = functools.cache(functools.partial(build, num_tasks=4))


def fresh(method: str) -> Aggregator:
    """A new instance for four tasks, without reading the file again."""
    return copy.deepcopy(_four(method))


def matrix(num_tasks: int, size: int, seed: int = 0) -> Tensor:
    """Gradients [K, P] of which some conflict."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_tasks, size, generator=generator) + 0.2


def losses(num_tasks: int, seed: int = 0) -> Tensor:
    return 0.5 + torch.rand(num_tasks, generator=torch.Generator().manual_seed(seed))


def vector(aggregator: Aggregator, gradients: Tensor, values: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return aggregator(gradients, values).vector


def is_random(method: str, num_tasks: int) -> bool:
    first, second = (vector(build(method, num_tasks), matrix(4, 6), losses(4), seed) for seed in (0, 1))
    return not torch.equal(first, second)


# Gradients [4, P] turned into awkward ones.
BENT = {
    "zero": lambda rows: 0 * rows,
    "one zero": lambda rows: rows * torch.tensor([1.0, 0, 1, 1])[:, None],
    "duplicate": lambda rows: rows[[0, 0, 1, 1]],
    "all equal": lambda rows: rows[[0, 0, 0, 0]],
    "opposite": lambda rows: torch.cat([rows[:2], -rows[:2]]),
    "one huge": lambda rows: rows * torch.tensor([1.0, 1e12, 1, 1])[:, None],
    "all huge": lambda rows: rows * 1e12,
    "tiny": lambda rows: rows * 1e-12,
    "overflow": lambda rows: rows * torch.tensor([1.0, 1e30, 1, 1])[:, None],
}
