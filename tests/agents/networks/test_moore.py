import pytest
import torch

from mtrl.agents.networks import MOORE
from mtrl.agents.networks.moore import orthonormal
from mtrl.errors import UsageError
from mtrl.gradients.flat_module import FlatModule


def grams(basis):
    return torch.einsum("ibd,jbd->bij", basis, basis)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_representations_become_orthonormal_for_each_sample(sizes, layers, size):
    network = MOORE(sizes, layers, hidden=[64, 64], experts=4)
    basis = orthonormal(size * network.representations(torch.randn(32, 7)))  # [n, B, D]
    torch.testing.assert_close(grams(basis), torch.eye(4).expand(32, 4, 4), rtol=0, atol=1e-4)


def test_nearly_parallel_vectors_become_orthogonal_too():
    gram = grams(orthonormal(torch.randn(1, 50, 400) + 0.01 * torch.randn(6, 50, 400)))
    off_diagonal = gram - torch.diag_embed(gram.diagonal(dim1=1, dim2=2))
    assert off_diagonal.abs().max() < 1e-4


def test_the_basis_is_that_of_a_qr_decomposition():
    vectors = torch.randn(3, 5, 8, dtype=torch.float64)
    q, r = torch.linalg.qr(vectors.permute(1, 2, 0))  # columns [B, D, n]
    q = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]
    torch.testing.assert_close(orthonormal(vectors), q.permute(2, 0, 1), rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_finite_differences():
    vectors = torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(orthonormal, vectors)


@pytest.mark.parametrize("vector", [torch.randn(1, 5, 8), torch.zeros(1, 5, 8)])
def test_equal_experts_give_finite_values_and_gradients(vector):
    vectors = vector.repeat(3, 1, 1).requires_grad_()
    basis = orthonormal(vectors)
    basis.sum().backward()
    assert basis.isfinite().all()
    assert basis[1:].norm(dim=-1).max() < 0.1
    assert vectors.grad.isfinite().all()


def test_each_task_mixes_the_experts_for_its_head(sizes, layers):
    network = MOORE(sizes, layers, hidden=[16, 12], experts=4)
    rows, expected = torch.randn(3, 6, 7), []
    for task, weights, head in zip(rows, network.weights.members, network.head.members, strict=True):
        basis = orthonormal(network.representations(task))
        mixed = sum(weight * vector for weight, vector in zip(weights.value, basis, strict=True))
        expected.append(head(mixed.tanh()).detach())
    torch.testing.assert_close(FlatModule(network, 3)(torch.eye(3), rows), torch.stack(expected))


@pytest.mark.parametrize(
    ("experts", "match"), [(0, "integer from 1 to 100, found 0"), (17, "at most the last")]
)
def test_numbers_of_experts_that_cannot_be_are_refused(sizes, layers, experts, match):
    with pytest.raises(UsageError, match=f"experts must be .*{match}"):
        MOORE(sizes, layers, hidden=[16, 16], experts=experts)
