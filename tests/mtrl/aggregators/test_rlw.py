import torch

from mtrl.aggregators import RLW


def test_weights_are_positive_sum_to_one_and_change():
    aggregator = RLW(4)
    first, second = (aggregator(torch.eye(4), torch.ones(4)).weights for _ in range(2))
    assert (first > 0).all()
    torch.testing.assert_close(first.sum(), torch.tensor(1.0))
    assert not torch.equal(first, second)
