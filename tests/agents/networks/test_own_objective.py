import torch
from torch import nn

from mtrl.agents.networks.own_objective import OwnObjective, has_own_objectives, redirected
from mtrl.gradients.flat_module import FlatModule, PerTask


class Halved(OwnObjective):
    """Its bias moves along half of its value, whatever the loss says."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def redirect(self, parameters, gradients, directions):
        assert gradients["linear.weight"].shape == (3, 1, 2)
        return directions | {"linear.bias": 0.5 * parameters["linear.bias"]}


def test_a_part_may_put_other_directions_in_the_place_of_its_own():
    module = nn.ModuleList(PerTask(make() for _ in range(3)) for make in (lambda: nn.Linear(1, 1), Halved))
    flat = FlatModule(module, 3)
    assert list(flat.own_shapes)[2:] == ["1.members.0.linear.weight", "1.members.0.linear.bias"]
    assert has_own_objectives(flat)
    gradients, directions = torch.randn(2, 3, 5)
    found = redirected(flat, gradients, directions)
    torch.testing.assert_close(found[:, :4], directions[:, :4])
    torch.testing.assert_close(found[:, 4], 0.5 * flat.own[:, 4])


def test_other_networks_have_no_such_part():
    flat = FlatModule(PerTask(nn.Linear(1, 1) for _ in range(2)), 2)
    directions = torch.randn(2, 2)
    assert not has_own_objectives(flat)
    assert redirected(flat, torch.randn(2, 2), directions) is directions
