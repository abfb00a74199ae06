"""Every method with a Gram matrix costs few launches more than the mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.launches import count_operations, count_update
from mtrl.aggregators import CAGrad, GramAggregator
from mtrl.types import SuiteSpec
from tests.mtrl.aggregators.built_aggregators import METHODS, build

MARGIN = 12  # of one aggregation; an update has two
TASKS = 10


def operations(method: str) -> int:
    aggregator = build(method, TASKS).to("meta")
    if not isinstance(aggregator, GramAggregator):
        pytest.skip("its direction is no combination of gradients")
    gradients, losses = torch.empty(TASKS, 100, device="meta"), torch.empty(TASKS, device="meta")
    return count_operations(lambda: aggregator(gradients, losses)).total()


# A subset mixes the matrix before the method sees it, with gradients that it could have left out.
@pytest.mark.parametrize("method", [name for name in METHODS if name != "cagrad_fast"])
def test_a_method_launches_few_operations_more_than_the_mean(method: str) -> None:
    assert operations(method) <= operations("mean") + MARGIN


def test_a_kernel_is_one_operation_of_a_whole_graph() -> None:
    names: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: list[Tensor]) -> object:
        names.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph.forward

    weights = torch.compile(CAGrad(4).weights, fullgraph=True, backend=backend)
    gram = torch.empty(4, 4, dtype=torch.float64, device="meta")
    losses = torch.empty(4, dtype=torch.float64, device="meta")
    assert weights(gram, losses, losses).shape == (4,)
    assert [name.removesuffix(".default") for name in names] == ["mtrl.cagrad"]


@pytest.mark.parametrize("tasks", [10, 50])
def test_an_update_with_cagrad_launches_few_operations_more(tasks: int) -> None:
    spec = SuiteSpec(tuple(f"task-{index}" for index in range(tasks)), 39, 4, 500, 50)
    mean, cagrad, fast = (
        count_update(spec, ["agent=sac", f"aggregator={name}", "agent.network.hidden=[8]"], 4).total()
        for name in ("mean", "cagrad", "cagrad_fast")
    )
    assert 0 < cagrad <= mean + 25
    assert fast <= mean + 80
