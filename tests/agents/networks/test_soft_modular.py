"""Soft Modularization against its formulas, written module by module."""

import pytest
import torch

from mtrl.agents.networks import Layers, Sizes, SoftModular
from mtrl.errors import UsageError

SIZES = Sizes(("a", "b"), inputs=5, outputs=3)
DEFAULT = {"hidden": [8, 6], "num_layers": 3, "num_modules": 4, "width": 7, "routing": [9, 5]}


def network(layer_norm=False, **options):
    layers = Layers(torch.device("cpu"), torch.Generator().manual_seed(0), layer_norm)
    made = SoftModular(SIZES, layers, **{**DEFAULT, **options})
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return made


def by_loops(net, obs):
    """The outputs [outputs] for one observation [O]."""
    state = net.state(obs)
    context = net.router(state * net.embedding())
    count = net.num_modules
    routes = []
    for layer in range(len(net.banks)):
        query = context
        if layer:
            query = context * net.from_earlier[layer - 1](torch.cat([p.flatten() for p in routes]))
        logits = net.to_logits[layer](query.clamp(min=0))
        receivers = count if layer < len(net.banks) - 1 else 1
        rows = [logits[i * count : (i + 1) * count] for i in range(receivers)]
        routes.append(torch.stack([row.exp() / row.exp().sum() for row in rows]))
    inputs = [state.clamp(min=0)] * count
    for bank, route in zip(net.banks, routes, strict=True):
        outputs = [inputs[j] @ bank.weight[j] + bank.bias[j] for j in range(count)]
        inputs = [sum(row[j] * outputs[j] for j in range(count)).clamp(min=0) for row in route]
    return net.head(inputs[0])


@pytest.mark.parametrize("num_layers", [1, 2, 4])
def test_it_is_the_formulas_written_module_by_module(num_layers):
    net, obs = network(num_layers=num_layers), torch.randn(6, 5)
    task = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(net(task, obs), torch.stack([by_loops(net, row) for row in obs]))


def test_each_module_divides_its_input_among_the_modules_before():
    net = network()
    routes = net.route(net.state(torch.randn(6, 5)))
    assert [tuple(route.shape) for route in routes] == [(6, 4, 4), (6, 4, 4), (6, 1, 4)]
    for route in routes:
        assert route.min() > 0
        torch.testing.assert_close(route.sum(-1), torch.ones(route.shape[:2]))
        assert not torch.allclose(route[0], route[1]), "the route depends on the state"


@pytest.mark.parametrize("layer_norm", [False, True])
def test_one_module_per_layer_is_a_plain_network(layer_norm):
    net, obs = network(layer_norm, num_modules=1), torch.randn(6, 5)
    features = net.activations[0](net.state(obs))
    for bank, activation in zip(net.banks, net.activations[1:], strict=True):
        features = activation(features @ bank.weight[0] + bank.bias[0])
    torch.testing.assert_close(net(torch.tensor([1.0, 0.0]), obs), net.head(features))


@pytest.mark.parametrize(
    "option",
    [
        {"num_layers": 0},
        {"num_modules": 0},
        {"num_modules": 1.5},
        {"width": 0},
        {"hidden": []},
        {"routing": [0]},
    ],
)
def test_sizes_that_cannot_be_are_named(option):
    with pytest.raises(UsageError, match=f"{next(iter(option))} must"):
        network(**option)
