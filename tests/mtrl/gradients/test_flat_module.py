import pytest
import torch
from torch import nn

from mtrl.gradients.flat_module import FlatModule, PerTask


class Headed(nn.Module):
    def __init__(self, heads):
        super().__init__()
        self.trunk = nn.Linear(3, 4)
        self.head = PerTask(nn.Linear(4, 2) for _ in range(heads))
        self.register_buffer("shift", torch.randn(2))

    def forward(self, x):
        return self.head(self.trunk(x).relu()) + self.shift


def test_what_the_tasks_share_is_one_vector():
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 6, 3)
    expected = module(x)
    flat = FlatModule(module, 5)
    assert flat.shared.shape == (16 + 8 + 10,)
    assert flat.own.shape == (5, 0)
    assert flat.num_parameters() == 34
    torch.testing.assert_close(flat(x), expected)


def test_each_task_has_its_own_vector():
    module = Headed(3)
    x = torch.randn(3, 6, 3)
    hidden = module.trunk(x).relu()
    expected = torch.stack(
        [head(features) for head, features in zip(module.head.members, hidden, strict=True)]
    )
    expected = expected + module.shift
    flat = FlatModule(module, 3)
    assert flat.shared.shape == (16,)
    assert flat.own.shape == (3, 10)
    torch.testing.assert_close(flat(x), expected)
    torch.testing.assert_close(flat.apply_with(flat.shared, flat.own[1], x[1]), expected[1])


def test_only_the_two_tensors_are_parameters_and_constants_are_no_state():
    flat = FlatModule(Headed(2), 2)
    assert [name for name, _ in flat.named_parameters()] == ["shared", "own"]
    assert list(flat.state_dict()) == ["shared", "own"]


def test_a_network_may_share_nothing():
    flat = FlatModule(PerTask(nn.Linear(2, 1) for _ in range(4)), 4)
    assert flat.shared.shape == (0,)
    assert flat(torch.zeros(4, 6, 2)).shape == (4, 6, 1)


def test_a_wrong_number_of_modules_is_named():
    with pytest.raises(ValueError, match="'head' must hold 4 modules, found 3"):
        FlatModule(Headed(3), 4)
