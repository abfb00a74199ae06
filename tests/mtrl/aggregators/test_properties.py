"""Properties that TorchJD's tests know, over all methods; every exception has its reason and does fail."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.mtrl.aggregators.built_aggregators import METHODS, build
from tests.mtrl.aggregators.jacobians import SCALES, matrices

pytestmark = pytest.mark.slow

TYPICAL = ("zero", "normal", "strong", "strictly weak", "not weak")


def vector(method: str, matrix: Tensor) -> Tensor:
    torch.manual_seed(0)
    return build(method, len(matrix))(matrix, matrix.new_ones(len(matrix))).vector


def structure(method: str, dtype: torch.dtype) -> None:
    scaled = [scale * matrix for scale in SCALES for matrix in matrices("normal")]
    for matrix in scaled + matrices(*TYPICAL):
        found = vector(method, matrix.to(dtype).requires_grad_())
        assert found.shape == matrix.shape[1:]
        assert found.dtype == dtype
        assert found.isfinite().all()
        assert not found.requires_grad


def non_conflicting(method: str, dtype: torch.dtype) -> None:
    for matrix in matrices(*TYPICAL):
        rows = matrix.to(dtype)
        products = rows @ vector(method, rows)
        assert products.clamp(max=0).norm() <= 1e-4 + 1e-4 * products.norm()


def permutation_invariant(method: str, dtype: torch.dtype) -> None:
    for matrix in matrices(*TYPICAL):
        rows = matrix.to(dtype)
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(vector(method, rows[order]), vector(method, rows), rtol=1e-4, atol=1e-4)


def linear_under_scaling(method: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    for matrix in matrices(*TYPICAL):
        rows = matrix.to(dtype)
        first, second = torch.rand(2, len(rows), 1, generator=generator, dtype=torch.float64).to(dtype)
        parts = 0.3 * vector(method, first * rows) + 0.7 * vector(method, second * rows)
        whole = vector(method, (0.3 * first + 0.7 * second) * rows)
        torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-3)


def strongly_stationary(method: str, dtype: torch.dtype) -> None:
    for matrix in matrices("strictly weak", "not weak"):
        assert vector(method, matrix.to(dtype)).norm() > 3e-3


PROPERTIES = (structure, non_conflicting, permutation_invariant, linear_under_scaling, strongly_stationary)
LOSSES = {"dwa", "famo", "gls", "imtl_l", "mean", "rlw", "stch", "uncertainty"}
CHANCE = {"cagrad_fast", "cr_pcgrad", "gradvac", "m_config", "moco_pcgrad", "pcgrad", "rlw"}
SHORTEST = {"mgda", "cr_mgda"}
# By property and reason.
EXCEPTIONS: dict[str, dict[str, set[str]]] = {
    "non_conflicting": {
        "weighs without a look at inner products": LOSSES | {"gradnorm", "excess_mtl", "db_mtl"},
        "balances lengths, also where conflict remains": {"aligned_mtl"},
        "finds no direction with equal cosines where gradients are dependent": {"config"},
        "frees each gradient from conflict in turn, not all together": {"pcgrad", "cr_pcgrad", "moco_pcgrad"},
        "aligns gradients in turn": {"gradvac"},
        "keeps conflict and weighs it": {"dynamic_weighting"},
        "decides for each coordinate": {"graddrop"},
        "stays near the mean": {"cagrad", "cagrad_fast", "cr_cagrad", "moco_cagrad", "sdmgrad"},
        "has taken one step of many with its weights": {"moco"},
        "has given one task its turn": {"m_config"},
        "adds, being TorchJD's, a constant to the Gram matrix": {"torchjd"},
    },
    "permutation_invariant": {
        "draws an order, a subset or weights": CHANCE,
        "lets rounding decide between many solutions": {"cagrad", "cr_cagrad", "moco_cagrad", "imtl_g"},
    },
    "linear_under_scaling": {
        "counts a short gradient as much as a long one, or more": SHORTEST
        | {"aligned_mtl", "db_mtl", "fairgrad", "gradops", "imtl_g", "nash_mtl", "sdmgrad"},
        "measures its ball, or projects, by all lengths together": {
            "cagrad", "cagrad_fast", "cr_cagrad", "dualproj", "moco_cagrad",
        },
        "is no linear function of the gradients": {"dynamic_weighting", "graddrop", "moco"},
        "adds, being TorchJD's, a constant to the Gram matrix": {"torchjd"},
    },
    "strongly_stationary": {
        "stops where some convex combination is zero": SHORTEST,
        "divides by what combinations can grow to": {"fairgrad", "imtl_g", "nash_mtl"},
        "projects off all others, which leaves nothing of dependent gradients": {"gradops"},
    },
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
def test_a_property_holds_or_is_excepted_with_reason(check, method):
    reasons = [reason for reason, methods in EXCEPTIONS.get(check.__name__, {}).items() if method in methods]
    failures = []
    for dtype in (torch.float32, torch.float64):
        try:
            check(method, dtype)
        except AssertionError as failure:
            failures.append(f"{dtype}: {failure}")
    if reasons:
        assert failures, f"holds, though excepted as one that {reasons[0]}"
    else:
        assert not failures
