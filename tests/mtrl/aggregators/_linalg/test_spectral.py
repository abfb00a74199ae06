import pytest
import torch

from mtrl.aggregators._linalg.spectral import jacobi, precision_of, significant
from tests.mtrl.aggregators.families import FAMILIES, draw


@pytest.mark.parametrize("num", [1, 2, 3, 8, 17])
@pytest.mark.parametrize("family", ["random", "rank_deficient", "ill_conditioned"])
def test_rotations_find_what_eigh_finds(family, num):
    gradients = draw(family, num)
    gram = gradients @ gradients.T
    values, vectors = jacobi(gram)
    size = gram.diagonal().sum()
    torch.testing.assert_close(values.sort().values, torch.linalg.eigvalsh(gram), rtol=0, atol=1e-14 * size)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(num).double(), rtol=0, atol=1e-13)
    torch.testing.assert_close((vectors * values) @ vectors.T, gram, rtol=0, atol=1e-13 * size)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"near_parallel", "ill_conditioned"}))
def test_what_only_rounding_made_is_told_from_short_gradients(family, dtype):
    gradients = draw(family, 10)
    gram = (gradients.to(dtype) @ gradients.to(dtype).T).double()
    kept = significant(*torch.linalg.eigh(gram), gram, precision_of(gram))
    assert kept.sum() == torch.linalg.matrix_rank(gradients)
