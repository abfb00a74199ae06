import pytest
import torch
from torch import nn

from mtrl.flat import FlatModule


def test_flat_module_computes_what_the_module_computes():
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    expected = module(x)
    flat = FlatModule(module)
    assert [name for name, _ in flat.named_parameters()] == ["vector"]
    torch.testing.assert_close(flat(x), expected)


def test_modules_with_buffers_are_refused():
    with pytest.raises(ValueError, match="running_mean"):
        FlatModule(nn.BatchNorm1d(3))
