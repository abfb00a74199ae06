"""Finds eigenvalues and eigenvectors of Gram matrices without host syncs, and which of them are not zero."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def sweeps(num: int) -> int:
    """How many leave 1e-15 of the largest eigenvalue, also of ill-conditioned matrices."""
    return 4 + num.bit_length()


def jacobi(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate pairs of rows and columns, half of all rows at once, until the matrix is diagonal.

    ``torch.linalg.eigh`` reads a status on the host.

    Args:
        matrix: [K, K], symmetric, positive semi-definite up to rounding.

    Returns:
        The eigenvalues [K], in any order, and the eigenvectors, in columns [K, K].
    """
    num = len(matrix)
    even = num + num % 2
    # A partner for the last row where K is odd: an eigenvalue below all others, which stays where it is.
    extended = F.pad(matrix, (0, even - num, 0, even - num))
    extended = extended - torch.diag(F.pad(torch.zeros_like(matrix[0]), (0, even - num), value=1.0))
    state = torch.cat([extended, torch.diag(torch.ones_like(extended[0]))], dim=1)  # vectors in rows
    for _ in range(sweeps(num)):
        for other, first in zip(*turns(even, matrix.device), strict=True):
            state = rotated(state, other, first)
    return state.diagonal()[:num], state[:num, even : even + num].T


def turns(even: int, device: torch.device) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Whom each of an ``even`` number of rows meets in each turn of a sweep; 1 for the first of two, or −1.

    In even − 1 turns all meet once: the last row stays, while the others go round.
    """
    places, last = torch.arange(even, device=device), even - 1
    turn = torch.arange(last, device=device)[:, None]  # [T, 1]
    other = (turn - places) % last  # [T, even]
    other = torch.where(other == places, last, other)
    other = torch.where(places == last, turn * (even // 2) % last, other)
    return other.unbind(), torch.where(places < other, 1.0, -1.0).double().unbind()


def rotated(state: Tensor, other: Tensor, first: Tensor) -> Tensor:
    """Rotate each row and column so that it has no product with its partner, the longer to the front.

    Args:
        state: [K, 2 K], the matrix and, in rows, the eigenvectors so far.
        other: [K], the partners.
        first: [K], 1 for the first of each pair and −1 for the second.
    """
    num = len(state)
    own = state.diagonal()
    product = state.gather(1, other[:, None])[:, 0]
    # To the last bit the partner's but for the sign, also that of a zero.
    apart = first * own - first * own[other]
    angle = 0.5 * first * torch.atan2(product + product[other], apart)
    cosine, sine = angle.cos(), angle.sin()
    state = torch.addcmul(cosine[:, None] * state, sine[:, None], state[other])
    matrix, vectors = state[:, :num], state[:, num:]
    return torch.cat([torch.addcmul(cosine * matrix, sine, matrix[:, other]), vectors], dim=1)


def significant(values: Tensor, vectors: Tensor, gram: Tensor, precision: Tensor) -> Tensor:
    """Which eigenvalues of ``gram`` [K, K] are more than rounding made, [K] bool.

    Products of short gradients are rounded less than those of long ones, so each eigenvector has its own
    limit: short gradients beside a long one are not nothing.

    Args:
        values, vectors: of :func:`jacobi`.
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
