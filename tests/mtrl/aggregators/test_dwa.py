import pytest
import torch

from mtrl.aggregators import DWA
from mtrl.errors import UsageError
from tests.mtrl.aggregators.built_aggregators import losses

ROWS = torch.eye(4)


@pytest.mark.parametrize("epoch", [1, 3])
def test_gives_the_kth_part_of_what_torchjd_gives(epoch):
    scalarization = pytest.importorskip("torchjd.scalarization")
    ours, theirs = DWA(4, epoch=epoch, temperature=0.5), scalarization.DWA(temperature=0.5)
    for step in range(1, 12):
        values = losses(4, step).double().requires_grad_()
        theirs(values).backward()
        torch.testing.assert_close(ours(ROWS.double(), values.detach()).weights, values.grad / 4)
        if step % epoch == 0:
            theirs.step()


def test_a_loss_of_zero_leaves_finite_weights():
    aggregator = DWA(4)
    for values in ([0.0, 1.0, 1.0, 1.0], [1.0, 0.0, -1.0, 1e-300], [1.0, 1.0, 1.0, 1e300], [1.0] * 4):
        weights = aggregator(ROWS, torch.tensor(values).double()).weights
        assert weights.isfinite().all()
        assert weights.sum() == pytest.approx(1)


def test_an_epoch_is_a_number_of_calls():
    with pytest.raises(UsageError, match=r"DWA: epoch must be an integer from 1 to .*, found 1\.5"):
        DWA(4, epoch=1.5)
