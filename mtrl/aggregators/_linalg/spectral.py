"""Finds eigenvalues and eigenvectors of Gram matrices without host syncs, and which of them are not zero."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel, may_wait

SWEEPS = 10  # leave 1e-15 of the largest eigenvalue at K = 50, also on ill-conditioned matrices


def eigen(gram: Tensor) -> tuple[Tensor, Tensor]:
    """The eigenvalues [K], in any order, and the eigenvectors, in columns [K, K], of a symmetric [K, K]."""
    if has_kernel(gram):
        return operators.eigen(gram, SWEEPS)
    # ``torch.linalg.eigh`` reads a status on the host.
    return jacobi(gram) if may_wait(gram) else torch.linalg.eigh(gram)


def jacobi(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate pairs of rows and columns, half of all rows at once, until the matrix is diagonal.

    Args:
        matrix: [K, K], positive semi-definite up to rounding.

    Returns:
        As :func:`eigen`.
    """
    num = len(matrix)
    even = num + num % 2
    # A partner for the last row where K is odd: an eigenvalue below all others, which stays where it is.
    matrix = F.pad(matrix, (0, even - num, 0, even - num)) - torch.diag(
        F.pad(torch.zeros_like(matrix[0]), (0, even - num), value=1.0)
    )
    places = torch.arange(even, device=matrix.device)
    vectors = torch.diag(torch.ones_like(matrix[0]))  # in rows
    for turn in [turn for _ in range(SWEEPS) for turn in range(even - 1)]:
        other = partners(places, turn, even)
        cosine, sine = rotations(matrix, places, other)
        matrix = cosine[:, None] * matrix - sine[:, None] * matrix[other]
        matrix = cosine * matrix - sine * matrix[:, other]
        vectors = cosine[:, None] * vectors - sine[:, None] * vectors[other]
    return matrix.diagonal()[:num], vectors[:num, :num].T


def partners(places: Tensor, turn: int, even: int) -> Tensor:
    """Whom each of an ``even`` number of rows meets in a turn, so that all meet once in even − 1 turns."""
    last = even - 1  # stays, while the others go round
    other = (turn - places).remainder(last) if last > 1 else 1 - places
    other = torch.where(other == places, last, other)
    return torch.where(places == last, turn * (even // 2) % last if last > 1 else 0, other)


def rotations(matrix: Tensor, places: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [K] of the angles after which each row has no product with its partner."""
    own = matrix.diagonal()
    product = matrix.gather(1, other[:, None])[:, 0]
    twice = product + product[other]  # to the last bit as the partner has it
    apart = own[other] - own
    first = torch.where(places < other, 1.0, -1.0)
    side = torch.where(apart == 0, first, apart.sign())
    tangent = torch.where(twice == 0, 0, side * twice / (apart.abs() + torch.hypot(apart, twice)))
    cosine = (1 + tangent.square()).rsqrt()
    sine = tangent * cosine
    # A right angle more where it brings the longer row to the front: fewer sweeps are needed.
    turned = torch.where(sine == 0, first, sine.sign())
    behind = first * apart > 0
    return torch.where(behind, sine.abs(), cosine), torch.where(behind, -turned * cosine, sine)


def significant(values: Tensor, vectors: Tensor, gram: Tensor, precision: Tensor) -> Tensor:
    """Which eigenvalues of ``gram`` [K, K] are more than rounding made, [K] bool.

    Products of short gradients are rounded less than those of long ones, so each eigenvector has its own
    limit: short gradients beside a long one are not nothing.

    Args:
        values, vectors: of :func:`eigen`.
        gram: whose eigenvalues they are.
        precision: see :func:`precision_of`.
    """
    own = gram.diagonal() @ vectors.square()  # [K]
    floor = torch.finfo(torch.float64).eps * values.max()  # of the eigenvalues themselves
    return values > len(gram) * torch.maximum(precision * own, floor)


def precision_of(gram: Tensor) -> Tensor:
    """How far products are from exact, relatively, 0-d; a matrix that float32 holds was computed in it."""
    single = (gram.float().double() == gram).all()
    return torch.where(single, torch.finfo(torch.float32).eps, torch.finfo(torch.float64).eps)
