"""Chooses the library that multiplies float32 matrices on a CPU, and checks its results before it is used.

PyTorch multiplies by MKL, which is slow on processors of other makers than its own. The switch
``torch.set_float32_matmul_precision("medium")`` hands the products to oneDNN, which is fast on all of them,
and allows it bfloat16. Whether it makes use of that depends on the processor: with AMX it does, without it
multiplies in float32. So what is measured decides, not the name.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

NATIVE = "MKL float32" if torch.backends.mkl.is_available() else "BLAS float32"  # type: ignore[no-untyped-call]
ONEDNN = "oneDNN float32"
SWITCH: dict[str, Literal["highest", "medium"]] = {NATIVE: "highest", ONEDNN: "medium"}
LIMIT = 1e-6  # of the error of an exact product, relative to its norm
MARGIN = 1.25  # oneDNN must be so many times faster: less is noise, which may not decide what a run computes
REPEATS = 7
SHAPES = (  # matrices, rows, inner, columns: a layer forward, its gradients for each task, a Gram matrix
    (1, 640, 128, 128),
    (10, 128, 64, 128),
    (4, 256, 128, 256),
    (1, 10, 20_000, 10),
)

Problem = tuple[Tensor, Tensor]


class Products(NamedTuple):
    """Says who multiplies, and how it rounds: machines that differ in it compute other runs."""

    name: str
    checksum: str | None  # of the probe's results, to the last bit; None on a GPU, whose name says it


@contextmanager
def float32_products(device: torch.device, wanted: object = None) -> Iterator[Products]:
    """Multiply by the fastest exact library meanwhile; leave the process-wide switch as it was found.

    Args:
        device: where the products are computed. What a GPU multiplies by, others decide.
        wanted: the library of a run that goes on: it stays, unless it is not exact here.
    """
    before = torch.get_float32_matmul_precision()
    try:
        yield _use(device, wanted)
    finally:
        torch.set_float32_matmul_precision(before)


def rounds_products(values: Tensor) -> bool:
    """Whether float32 products on the device of ``values`` may be less than float32 now."""
    if values.is_cuda:
        return switched()
    # What is being compiled belongs to a run, which has measured; and a compiler cannot measure.
    return not torch.compiler.is_compiling() and switched() and not exact()


def switched() -> bool:
    """Whether the process allows float32 products to be less than float32."""
    return torch.get_float32_matmul_precision() != "highest"


# PyTorch 2.11 cannot compile the question. This is ``torch.compiler.assume_constant_result`` without
# the import of the compiler, which takes seconds and fails where its cache cannot be written.
vars(switched)["_dynamo_marked_constant"] = True


@cache  # a fact of the machine
def exact() -> bool:
    """Whether oneDNN's products are float32 here, not bfloat16."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    with by(ONEDNN):
        return all(_error(problem) <= LIMIT for problem in _problems())


@cache  # a process chooses once
def fastest() -> str:
    """Name the faster of the libraries that are exact here: PyTorch's own, unless oneDNN clearly wins."""
    if not exact():
        return NATIVE
    problems = _problems()
    shortest = {name: [float("inf")] * len(problems) for name in SWITCH}
    for _ in range(REPEATS):  # in turns, and the shortest time of each is the one that nothing disturbed
        for name, seconds in shortest.items():
            with by(name):
                seconds[:] = [min(best, _seconds(one)) for best, one in zip(seconds, problems, strict=True)]
    ratios = torch.tensor(shortest[NATIVE]) / torch.tensor(shortest[ONEDNN])
    return ONEDNN if ratios.log().mean().exp() >= MARGIN else NATIVE


def _use(device: torch.device, wanted: object) -> Products:
    if device.type != "cpu":
        return Products(f"PyTorch on {device.type}", None)
    name = wanted if isinstance(wanted, str) and wanted in SWITCH else fastest()
    if name == ONEDNN and not exact():
        name = NATIVE
    torch.set_float32_matmul_precision(SWITCH[name])
    checksum = 0
    for left, right in _problems():
        checksum = zlib.crc32((left @ right).numpy().tobytes(), checksum)
    return Products(name, f"{checksum:08x}")


@contextmanager
def by(name: str) -> Iterator[None]:
    """Multiply by the library of this name meanwhile, exact or not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(SWITCH[name])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _problems() -> list[Problem]:
    """Make the pairs that the probe multiplies, the same ones everywhere, from no generator."""
    return [
        (_numbers(count, rows, inner), _numbers(count, inner, columns))
        for count, rows, inner, columns in SHAPES
    ]


def _numbers(*shape: int) -> Tensor:
    """Fill a tensor with what looks random, exactly: 16 bits each, which bfloat16 and TF32 would lose."""
    count = torch.Size(shape).numel()
    values = ((torch.arange(count) * 2_654_435_761) % 2**32 // 2**16 - 2**15).float() / 2**15
    return values.view(shape).squeeze(0)


def _error(problem: Problem) -> float:
    left, right = problem
    truth = left.double() @ right.double()
    return ((left @ right - truth).norm() / truth.norm()).item()


def _seconds(problem: Problem) -> float:
    left, right = problem
    begin = time.perf_counter()
    _ = left @ right
    return time.perf_counter() - begin
