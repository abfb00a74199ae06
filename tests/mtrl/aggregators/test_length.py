import pytest
import torch

from mtrl.aggregators import CAGrad, Mean, MoCo
from mtrl.aggregators.length import is_short

CPU = torch.device("cpu")


class Looks(Mean):
    """Asks the host what the device found."""

    def weights(self, gram, losses, shares):
        return shares if losses.sum().item() > 0 else super().weights(gram, losses, shares)


@pytest.mark.parametrize(("method", "short"), [(Mean, True), (MoCo, True), (CAGrad, False), (Looks, False)])
def test_what_a_compiler_reads_in_seconds_is_short(method, short):
    aggregator = method(10)
    before = {name: value.clone() for name, value in aggregator.state_dict().items()}
    torch.manual_seed(0)
    assert is_short(aggregator, CPU) is short
    drawn = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(3)), "no random numbers are used up"
    for name, value in aggregator.state_dict().items():
        assert torch.equal(value, before[name]), name
