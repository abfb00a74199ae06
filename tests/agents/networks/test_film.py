import torch

from agents.networks import FiLM
from mtrl.flat import FlatModule


def test_all_tasks_start_with_the_same_network(sizes, layers):
    network = FlatModule(FiLM(sizes, layers, hidden=[8, 8]), 3)
    outputs = network(torch.eye(3), torch.randn(1, 6, 7).expand(3, -1, -1))
    torch.testing.assert_close(outputs[0], outputs[2])


def test_scale_and_shift_apply_before_the_relu(sizes, layers):
    network = FiLM(sizes, layers, hidden=[8])
    film = network.films[0].rows[0]
    film.scale.data.normal_()
    film.shift.data.normal_()
    rows = torch.randn(6, 7)
    hidden = torch.relu(film.scale * network.layers[0](rows) + film.shift)
    torch.testing.assert_close(network(torch.eye(3)[0], rows), network.head(hidden))
