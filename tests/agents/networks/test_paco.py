import torch
from torch.func import functional_call

from mtrl.agents.networks import OneHotMLP, PaCo, Sizes


def test_a_weight_on_one_member_is_that_member(sizes, layers):
    network = PaCo(sizes, layers, hidden=[8, 8], members=3)
    rows = torch.randn(6, 7)
    plain = OneHotMLP(Sizes((), 7, 4), layers, hidden=[8, 8])
    for member in range(3):
        network.weights.members[0].value.data = torch.eye(3)[member] / network.scale
        banks = [*network.layers, network.head]
        parameters = {
            f"layers.{2 * place}.{name}": getattr(bank, name)[member].t()
            for place, bank in enumerate(banks)
            for name in ("weight", "bias")
        }
        expected = functional_call(plain, parameters, (torch.empty(0), rows))
        torch.testing.assert_close(network(torch.eye(3)[0], rows), expected)


def test_weights_compose_parameters_not_outputs(sizes, layers):
    network = PaCo(sizes, layers, hidden=[8], members=2)
    rows = torch.randn(6, 7)
    weights = network.scale * network.weights()
    first, head = network.layers[0], network.head
    hidden = torch.relu(rows @ (weights @ first.weight.flatten(1)).view(7, 8) + weights @ first.bias)
    expected = hidden @ (weights @ head.weight.flatten(1)).view(8, 4) + weights @ head.bias
    torch.testing.assert_close(network(torch.eye(3)[0], rows), expected)
