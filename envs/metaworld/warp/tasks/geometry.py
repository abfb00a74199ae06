"""Moves, measures and turns points of many worlds, [C, 3], without constants that a device would wait for."""

from __future__ import annotations

import torch
from torch import Tensor


def norm(vector: Tensor) -> Tensor:
    """Length of vectors [..., n]: [...]."""
    return torch.linalg.vector_norm(vector, dim=-1)


def moved(point: Tensor, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Tensor:
    """``point + (x, y, z)``."""
    parts = zip(point.unbind(-1), (x, y, z), strict=True)
    return torch.stack([part + by if by else part for part, by in parts], dim=-1)


def scaled(vector: Tensor, x: float, y: float, z: float) -> Tensor:
    """``vector * (x, y, z)``."""
    parts = zip(vector.unbind(-1), (x, y, z), strict=True)
    return torch.stack([part * by for part, by in parts], dim=-1)


def xz(vector: Tensor) -> Tensor:
    """The first and the last component: [..., 3] to [..., 2]."""
    return vector[..., ::2]


def quaternion(matrix: Tensor) -> Tensor:
    """``scipy.spatial.transform.Rotation.from_matrix(matrix).as_quat()``: [C, 3, 3] to [C, 4], scalar last.

    A rotation has two quaternions, and an observation shows the one of SciPy: positive where it is largest.
    """
    ((a, b, c), (d, e, f), (g, h, i)) = (row.unbind(-1) for row in matrix.unbind(-2))
    trace = a + e + i
    candidates = torch.stack(
        (
            torch.stack((1 - trace + 2 * a, b + d, c + g, h - f), dim=-1),
            torch.stack((b + d, 1 - trace + 2 * e, f + h, c - g), dim=-1),
            torch.stack((c + g, f + h, 1 - trace + 2 * i, d - b), dim=-1),
            torch.stack((h - f, c - g, d - b, 1 + trace), dim=-1),
        ),
        dim=-2,
    )  # [C, 4, 4]
    largest = torch.stack((a, e, i, trace), dim=-1).argmax(dim=-1)  # [C]
    chosen = candidates.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)
    return chosen / norm(chosen)[..., None]
