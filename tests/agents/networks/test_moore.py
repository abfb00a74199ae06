import torch

from agents.networks import MOORE
from agents.networks.moore import orthonormal


def test_representations_become_orthonormal_for_each_sample(sizes, layers):
    network = MOORE(sizes, layers, hidden=[16, 16], experts=4)
    representations = network.representations(torch.randn(32, 7))
    basis = orthonormal(representations)  # [n, B, D]
    gram = torch.einsum("ibd,jbd->bij", basis, basis)
    torch.testing.assert_close(gram, torch.eye(4).expand(32, 4, 4), rtol=0, atol=1e-3)


def test_the_basis_is_that_of_a_qr_decomposition():
    vectors = torch.randn(3, 5, 8, dtype=torch.float64)
    q, r = torch.linalg.qr(vectors.permute(1, 2, 0))  # columns [B, D, n]
    q = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]
    torch.testing.assert_close(orthonormal(vectors), q.permute(2, 0, 1), rtol=1e-4, atol=1e-4)


def test_equal_experts_give_finite_values_and_gradients():
    vectors = torch.randn(1, 5, 8).repeat(3, 1, 1).requires_grad_()
    basis = orthonormal(vectors)
    basis.sum().backward()
    assert basis.isfinite().all()
    assert basis[1:].norm(dim=-1).max() < 0.1
    assert vectors.grad.isfinite().all()
    zeros = torch.zeros(3, 5, 8, requires_grad=True)
    orthonormal(zeros).sum().backward()
    assert zeros.grad.isfinite().all()
