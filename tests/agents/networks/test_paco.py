import torch
from torch.func import functional_call

from agents.networks import OneHotMLP, PaCo, Sizes


def test_a_weight_on_one_member_is_that_member(sizes, layers):
    network = PaCo(sizes, layers, hidden=[8, 8], members=3)
    rows = torch.randn(6, 7)
    plain = OneHotMLP(Sizes((), 7, 0, 4), layers, hidden=[8, 8])
    for member in range(3):
        network.weights.rows[0].value.data = torch.eye(3)[member] / network.scale
        stacks = [*network.layers, network.head]
        parameters = {
            f"layers.{2 * place}.{name}": getattr(stack, name)[member]
            for place, stack in enumerate(stacks)
            for name in ("weight", "bias")
        }
        expected = functional_call(plain, parameters, (torch.empty(0), rows))
        torch.testing.assert_close(network(torch.eye(3)[0], rows), expected)


def test_weights_compose_parameters_not_outputs(sizes, layers):
    network = PaCo(sizes, layers, hidden=[8], members=2)
    rows = torch.randn(6, 7)
    weights = network.scale * network.weights()
    first, head = network.layers[0], network.head
    hidden = torch.relu(rows @ (weights @ first.weight.flatten(1)).view(8, 7).T + weights @ first.bias)
    expected = hidden @ (weights @ head.weight.flatten(1)).view(4, 8).T + weights @ head.bias
    torch.testing.assert_close(network(torch.eye(3)[0], rows), expected)
