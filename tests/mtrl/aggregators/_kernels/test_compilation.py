"""Kernels compile for the GPUs in use, without one at hand."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from mtrl.aggregators._kernels.launching import padded, warps

NAMES = {
    "ball": ("cagrad", "cagrad_sgd"),
    "simplex": ("min_norm", "moco"),
    "projections": ("pcgrad", "dynamic", "gradvac"),
    "fairness": ("fair", "imtl", "gradops"),
    "dual_cone": ("dual_cone",),
    "spectral": ("aligned", "config"),
    "losses": ("dwa", "gls", "imtl_l"),
    "moving": ("smoothing", "famo", "gradnorm", "uncertainty", "stch"),
}
KERNELS = [(module, name) for module, names in NAMES.items() for name in names]
CONSTANTS = {"scale": 1.0, "scheduled": True, "project": True, "keep_uniform": False, "softmax": False}
CONSTANTS |= {"iterations": 25, "sweeps": 10, "place": 1, "epoch": 2}
TYPES = {"steps_pointer": "*i64", "calls_pointer": "*i64", "seen_pointer": "*i1", "losses_pointer": "*fp32"}

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")


def code_size(module: str, name: str, num: int, capability: int) -> int:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel: Any = getattr(import_module(f"mtrl.aggregators._kernels.{module}"), f"{name}_kernel")
    if not isinstance(kernel, triton.JITFunction):
        pytest.skip("Triton interprets here")
    pointers = [argument for argument in kernel.arg_names if argument.endswith("_pointer")]
    others = [argument for argument in kernel.arg_names if argument not in pointers]
    signature = {argument: TYPES.get(argument, "*fp64") for argument in pointers}
    constants = {argument: CONSTANTS.get(argument, 0.3) for argument in others}
    constants |= {"K": num, "N": padded(num)}
    source = ASTSource(kernel, signature | dict.fromkeys(others, "constexpr"), constants)
    target = GPUTarget("cuda", capability, 32)
    return len(triton.compile(source, target=target, options={"num_warps": warps(padded(num))}).asm["cubin"])


@pytest.mark.parametrize(("module", "name"), KERNELS)
def test_a_kernel_compiles_for_ten_tasks(module: str, name: str) -> None:
    assert code_size(module, name, 10, 90) > 0


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("num", [10, 25, 50])
@pytest.mark.parametrize(("module", "name"), KERNELS)
def test_a_kernel_compiles_for_every_size(module: str, name: str, num: int, capability: int) -> None:
    assert code_size(module, name, num, capability) > 0
