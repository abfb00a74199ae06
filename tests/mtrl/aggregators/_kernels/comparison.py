"""Compares every method's directions with kernels and without, on awkward gradients."""

from __future__ import annotations

import copy
from unittest.mock import patch

import torch
from torch import Tensor

from mtrl.aggregators import Aggregator
from mtrl.aggregators._kernels import launching
from mtrl.config.registry import build_method
from tests.mtrl.aggregators.families import draw

METHODS = {
    "cagrad": {},
    "cagrad sgd": {"solver": "sgd", "rescale": "1+c2"},
    "mgda": {},
    "sdmgrad": {},
    "pcgrad": {},
    "gradvac": {},
    "gradops": {"alpha": 0.5},
    "fairgrad": {},
    "nash_mtl": {},
    "imtl_g": {},
    "dynamic_weighting": {"gradients": "pcgrad"},
    "moco": {},
    "moco softmax": {"projection": "softmax", "rho": 0.1},
    "cr_cagrad": {"alpha": "corollary1"},
    "cr_mgda": {},
    "famo": {},
    "gradnorm": {},
    "uncertainty": {},
    "stch": {},
    "upgrad": {},
    "dualproj": {},
    "aligned_mtl": {"scale_mode": "median"},
    "config": {},
    "dwa": {"epoch": 2},
    "gls": {},
    "imtl_l": {},
}
STEPS = 2


def build(method: str, num: int, device: str) -> Aggregator:
    return build_method(method.split()[0], num, **METHODS[method]).to(device)


def deviation(method: str, family: str, num: int, device: str = "cpu") -> float:
    """How far directions and state with kernels are from those without, after steps with a masked task."""
    plain = build(method, num, device)
    fast = copy.deepcopy(plain)
    worst = 0.0
    for step in range(STEPS):
        gradients, losses = problem(family, num, step)
        gradients, losses = gradients.to(device), losses.to(device)
        torch.manual_seed(step)
        with patch.object(launching, "DEVICES", frozenset()):
            expected = plain(gradients, losses).vector
        torch.manual_seed(step)
        with patch.object(launching, "DEVICES", frozenset({device})):
            found = fast(gradients, losses).vector
        size = expected.norm() + 0.01 * gradients.norm(dim=1).median()  # a direction may vanish
        worst = max(worst, ((found - expected).norm() / size).item())
    pairs = zip(plain.state_dict().values(), fast.state_dict().values(), strict=True)
    return max([worst, *(_difference(*pair) for pair in pairs)])


def problem(family: str, num: int, step: int) -> tuple[Tensor, Tensor]:
    """Gradients [K, P] and losses [K], of which one is not finite in the second step."""
    generator = torch.Generator().manual_seed(step)
    losses = torch.rand(num, generator=generator) + 0.5
    if step == 1:
        losses[1] = torch.nan
    return draw(family, num, step), losses


def _difference(first: Tensor, second: Tensor) -> float:
    return ((first.double() - second.double()).norm() / first.double().norm().clamp(min=1)).item()
