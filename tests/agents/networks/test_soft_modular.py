import pytest
import torch

from agents.networks import SoftModular
from mtrl.errors import UsageError


def build(sizes, layers, **options):
    return SoftModular(sizes, layers, **{"hidden": [8], "depth": 3, "modules": 2, "width": 5, **options})


def test_outputs_equal_a_loop_over_samples_and_modules(sizes, layers):
    network = build(sizes, layers)
    rows, task = torch.randn(6, 7), torch.eye(3)[1]
    observed = network.embed(rows)
    *between, last = network.routing(observed * network.embed_task(task))
    for sample in range(6):
        inputs = [observed[sample]] * 2
        for depth, layer in enumerate(network.layers):
            outputs = [torch.relu(layer.weight[j] @ inputs[j] + layer.bias[j]) for j in range(2)]
            if depth < 2:
                shares = between[depth][sample]
                inputs = [sum(shares[i, j] * outputs[j] for j in range(2)) for i in range(2)]
        expected = network.head(sum(last[sample, j] * outputs[j] for j in range(2)))
        torch.testing.assert_close(network(task, rows)[sample], expected)


def test_routing_shares_what_each_module_gets_and_depends_on_task_and_observation(sizes, layers):
    network = build(sizes, layers, depth=4, modules=3)
    observed = network.embed(torch.randn(6, 7))
    routes = [network.routing(observed * network.embed_task(task)) for task in torch.eye(3)[:2]]
    assert [list(part.shape) for part in routes[0]] == [[6, 3, 3]] * 3 + [[6, 3]]
    for first, second in zip(*routes, strict=True):
        torch.testing.assert_close(first.sum(-1), torch.ones_like(first.sum(-1)))
        assert not torch.allclose(first, second)
        assert not torch.allclose(first[0], first[1])


def test_one_module_is_a_plain_network(sizes, layers):
    network = build(sizes, layers, modules=1)
    rows = torch.randn(6, 7)
    features = network.embed(rows)
    for layer in network.layers:
        features = torch.relu(features @ layer.weight[0].T + layer.bias[0])
    torch.testing.assert_close(network(torch.eye(3)[0], rows), network.head(features))


@pytest.mark.parametrize("option", ["depth", "modules", "width"])
def test_counts_of_zero_are_refused(sizes, layers, option):
    with pytest.raises(UsageError, match=f"{option} must be a positive integer, found 0"):
        build(sizes, layers, **{option: 0})
