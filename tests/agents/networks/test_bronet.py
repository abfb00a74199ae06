import pytest
import torch

from mtrl.agents.networks import BroNet
from mtrl.errors import UsageError


def test_a_block_adds_two_normalised_layers_to_its_input(sizes, layers):
    network = BroNet(sizes, layers, hidden=[8, 8, 8], size=3)
    rows = torch.randn(6, 7)
    vector = network.embedding.members[0].value
    features = network.first(torch.cat([rows, (vector / vector.norm()).expand(6, -1)], dim=-1))
    for linear, norm, relu, again, last in network.blocks:
        features = features + last(again(relu(norm(linear(features)))))
        assert isinstance(norm, torch.nn.LayerNorm) and isinstance(last, torch.nn.LayerNorm)
    torch.testing.assert_close(network(torch.eye(3)[0], rows), network.head(features))


def test_layers_of_different_widths_cannot_be_added(sizes, layers):
    with pytest.raises(UsageError, match="hidden must repeat one width"):
        BroNet(sizes, layers, hidden=[8, 9], size=3)
