import pytest
import torch

from mtrl.aggregators import gram_matrix
from mtrl.aggregators.matrix import BLOCK, combine, finite_blocks, gradient_norms


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_combine_reads_no_row_that_it_must_not(dtype):
    gradients = torch.randn(4, 1000).to(dtype)
    weights = torch.tensor([0.5, -1.0, 2.0, 0.25])
    usable = torch.tensor([False, True, True, True])
    expected = weights[1:].to(dtype) @ gradients[1:]
    gradients[0] = torch.inf
    found = combine(weights, gradients, usable)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=2e-2 if dtype == torch.bfloat16 else 1e-5, atol=2e-2)
    assert torch.equal(combine(weights, gradients, ~usable & False), torch.zeros(1000, dtype=dtype))


def test_half_precision_is_accumulated_in_single():
    rows = torch.full((2, 4096), 0.1, dtype=torch.bfloat16)
    exact = 4096 * rows[0, 0].double().square()
    torch.testing.assert_close(gram_matrix(rows), exact.expand(2, 2), rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient_norms(rows), exact.sqrt().expand(2), rtol=1e-5, atol=0)


def test_autocast_does_not_reach_the_gram_matrix():
    rows = torch.randn(3, 500)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = gram_matrix(rows)
    assert torch.equal(inside, gram_matrix(rows))


def test_blocks_cover_every_column_and_leave_the_gradients_alone():
    gradients = torch.randn(4, BLOCK // 4 + 3)
    gradients[1, 0], gradients[2, -1] = torch.nan, -torch.inf
    before = gradients.clone()
    found = torch.cat([block.clone() for block in finite_blocks(gradients)], dim=1)
    torch.testing.assert_close(found, before.nan_to_num(0, 0, 0), rtol=0, atol=0)
    torch.testing.assert_close(gradients, before, rtol=0, atol=0, equal_nan=True)
