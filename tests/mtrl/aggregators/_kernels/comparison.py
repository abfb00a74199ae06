"""Compares every method's directions with kernels and without, on awkward gradients."""

from __future__ import annotations

import copy
import math
from typing import Any
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
# Where a nearly singular matrix is inverted once, or norms are 1e4 apart.
# And where a combination of two gradients vanishes, as far as rounding shows it.
ILL_POSED: dict[str | tuple[str, str], float] = {
    "imtl_g": 1e-6,
    "cr_cagrad": 1e-7,
    "one_large": 1e-7,
    "aligned_mtl": 1e-7,
    "config": 1e-7,
    "opposite_pair": 1e-5,
    # A regularised inverse of a singular matrix: what rounding leaves, 1e-16, over the ridge, 1e-14 K.
    ("imtl_g", "rank_deficient"): 1e-2,
    # Three collinear gradients have many combinations that vanish, and the average keeps the weights of one.
    ("cr_mgda", "rank_deficient"): 1e-5,
    # Nothing helps both of the pair: many directions are optimal, and all steps lead near their centre.
    ("cagrad", "opposite_pair"): 1e-4,
}
MANY = 7  # tasks, from which on such choices are ten and a hundred times as far apart
ILL_POSED_OF_MANY = ILL_POSED | {
    ("cr_mgda", "rank_deficient"): 1e-3,
    ("cagrad", "opposite_pair"): 1e-3,
    ("cr_cagrad", "opposite_pair"): 1e-3,
}


def allowed(method: str, family: str, num: int) -> float:
    """Say which deviation float64 can account for."""
    bounds = ILL_POSED if num < MANY else ILL_POSED_OF_MANY
    return max(bounds.get(part, 1e-9) for part in (method, family, (method, family)))


def disadvantage(family: str, num: int, device: str = "cpu") -> float:
    """How much less CAGrad's direction by its kernel helps the worst-off task, or how far it leaves the ball.

    In units of the gradients. Where many directions are optimal, this is what tells that one is.
    """
    worst = []
    for seed in range(STEPS):
        gradients = draw(family, num, seed).to(device)
        helped = []
        for devices in (frozenset[str](), frozenset({device})):
            with patch.object(launching, "DEVICES", devices):
                aggregator: Any = build("cagrad", num, device)
                direction = aggregator(gradients, torch.ones(num, device=device)).vector.double()
            helped.append((gradients.double() @ direction).min())
        mean = gradients.double().mean(0)
        outside = (direction - mean).norm() - aggregator.c * mean.norm()
        square = gradients.double().square().sum(1).mean()
        worst += [((helped[0] - helped[1]) / square).item(), (outside / square.sqrt()).item()]
    return max(worst) if all(map(math.isfinite, worst)) else math.inf


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
