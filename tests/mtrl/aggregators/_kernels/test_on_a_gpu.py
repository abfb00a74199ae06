"""On a GPU, kernels give what the PyTorch code gives there, also from a CUDA graph."""

from __future__ import annotations

import pytest
import torch

from mtrl.aggregators._kernels.launching import triton_works
from tests.mtrl.aggregators._kernels.comparison import METHODS, allowed, deviation, disadvantage
from tests.mtrl.aggregators.built_aggregators import build, losses, matrix
from tests.mtrl.aggregators.families import FAMILIES

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]


def test_triton_works() -> None:
    assert triton_works()


@pytest.mark.parametrize("num", [10, 50])
@pytest.mark.parametrize("method", METHODS)
def test_kernels_give_the_references_directions_on_a_gpu(method: str, num: int) -> None:
    found = {family: deviation(method, family, num, "cuda") for family in FAMILIES}
    bounds = {family: max(1e-6, allowed(method, family, num)) for family in FAMILIES}
    wrong = {family: value for family, value in found.items() if not value <= bounds[family]}
    assert wrong == {}


@pytest.mark.parametrize("num", [10, 50])
def test_where_many_directions_are_optimal_the_kernels_is_as_good_on_a_gpu(num: int) -> None:
    assert disadvantage("opposite_pair", num, "cuda") < 1e-6


@pytest.mark.parametrize("method", ["cagrad", "mgda", "gradops", "fairgrad"])
def test_a_captured_kernel_gives_the_same_direction(method: str) -> None:
    aggregator = build(method, 10).to("cuda")
    gradients, values = matrix(10, 100).cuda(), losses(10).cuda()
    expected = aggregator(gradients, values).vector
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = aggregator(gradients, values).vector
    captured.zero_()
    graph.replay()
    torch.testing.assert_close(captured, expected)
