"""Kernels give what the PyTorch code gives, as Triton's interpreter says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.mtrl.aggregators._kernels.comparison import METHODS, allowed
from tests.mtrl.aggregators.families import FAMILIES

ROOT = Path(__file__).parents[4]
QUICK = [
    *(("cagrad", family, 5) for family in FAMILIES),
    *(("mgda", family, 4) for family in FAMILIES),
    *((method, "one_zero", 3) for method in METHODS if method not in ("cagrad", "mgda")),
    ("gradops", "equiangular", 5),
    ("gradvac", "clusters", 7),
    ("fairgrad", "rank_deficient", 4),
    ("imtl_g", "ill_conditioned", 4),
    ("cagrad", "random", 17),
]

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")


def interpreted(cases: list[tuple[str, str, int]] | list[tuple[str, int]]) -> list[float]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.mtrl.aggregators._kernels.interpreted", json.dumps(cases)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def wrong(cases: list[tuple[str, str, int]]) -> dict[str, float]:
    """The cases that deviate too far, with how far; NaN is too far."""
    pairs = zip(cases, interpreted(cases), strict=True)
    return {str(case): value for case, value in pairs if not value <= allowed(*case)}


def test_kernels_give_the_references_directions_and_state() -> None:
    assert not wrong(QUICK)


@pytest.mark.slow
def test_where_many_directions_are_optimal_the_kernels_is_as_good() -> None:
    cases = [("opposite_pair", num) for num in (5, 10, 33, 50)]
    assert max(interpreted(cases)) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("num", [3, 7, 10, 16, 33, 50, 64])
def test_kernels_give_the_references_directions_on_all_families(num: int) -> None:
    assert not wrong([(method, family, num) for method in METHODS for family in FAMILIES])
