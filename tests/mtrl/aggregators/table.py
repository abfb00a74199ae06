"""Every method, built from the configuration folder: a new file there is under test the day it is added."""

from __future__ import annotations

import copy
import functools
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from mtrl.aggregators import Aggregator

FOLDER = Path(__file__).parents[3] / "configs" / "aggregator"
METHODS = sorted(path.stem for path in FOLDER.glob("*.yaml"))

# What a method's docstring says is exempt.
SCALE_DEPENDENT = {"dynamic_weighting", "moco", "torchjd"}
MASKED_COUNTS_AS_ZERO = {"torchjd"}
WAITS_FOR_THE_DEVICE = {"torchjd"}


def build(method: str, num_tasks: int, **options: Any) -> Aggregator:
    if method == "torchjd" and not all(map(importlib.util.find_spec, ("torchjd", "quadprog"))):
        pytest.skip("needs torchjd[quadprog_projector]")
    config = OmegaConf.merge(OmegaConf.load(FOLDER / f"{method}.yaml"), options)
    if "size" in config:
        config.size = min(config.size, (num_tasks + 1) // 2)
    return instantiate(config, _convert_="all", num_tasks=num_tasks)


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
