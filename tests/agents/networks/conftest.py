import pytest
import torch

from mtrl.agents.networks import Layers, Sizes


@pytest.fixture
def sizes():
    return Sizes(("a", "b", "c"), inputs=7, outputs=4, actions=2)


@pytest.fixture
def layers():
    return Layers(torch.device("cpu"), torch.Generator().manual_seed(0))
