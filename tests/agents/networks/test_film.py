import torch

from mtrl.agents.networks import FiLM
from mtrl.gradients.flat_module import FlatModule


def test_all_tasks_start_with_the_same_network(sizes, layers):
    network = FlatModule(FiLM(sizes, layers, hidden=[8, 8]), 3)
    outputs = network(torch.eye(3), torch.randn(1, 6, 7).expand(3, -1, -1))
    torch.testing.assert_close(outputs[0], outputs[2])


def test_scale_and_shift_apply_before_the_relu(sizes, layers):
    network = FiLM(sizes, layers, hidden=[8])
    film = network.films[0].members[0]
    film.scale.data.normal_()
    film.shift.data.normal_()
    rows = torch.randn(6, 7)
    hidden = torch.relu(film.scale * network.layers[0](rows) + film.shift)
    torch.testing.assert_close(network(torch.eye(3)[0], rows), network.head(hidden))


def test_a_one_hot_tells_the_tasks_apart_from_the_start(sizes, layers):
    network = FlatModule(FiLM(sizes, layers, hidden=[8], one_hot=True), 3)
    outputs = network(torch.eye(3), torch.randn(1, 6, 7).expand(3, -1, -1))
    assert not torch.allclose(outputs[0], outputs[2])


def test_a_task_learns_its_own_scales_and_shifts(sizes, layers):
    network = FlatModule(FiLM(sizes, layers, hidden=[8, 6]), 3)
    assert network.own.shape == (3, 2 * (8 + 6))
    rows = torch.randn(1, 6, 7).expand(3, -1, -1)
    before = network(torch.eye(3), rows)
    network.own.data[1] += 0.5
    after = network(torch.eye(3), rows)
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]])
    assert not torch.allclose(after[1], before[1])
