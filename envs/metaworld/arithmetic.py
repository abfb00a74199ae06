"""Computes Meta-World's small helpers on plain floats: the same numbers to the last bit, without arrays.

What a function here does not cover it hands to the original.
"""

from __future__ import annotations

from math import isclose, pow, sqrt
from typing import Any

import numpy as np
from metaworld.utils import reward_utils
from metaworld.utils.reward_utils import hamacher_product, rect_prism_tolerance
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation as ScipyRotation

__all__ = ["Rotation", "hamacher_product", "rect_prism_tolerance", "tolerance"]


def tolerance(
    x: Any,
    bounds: tuple[float, float] = (0.0, 0.0),
    margin: float = 0.0,
    sigmoid: str = "gaussian",
    value_at_margin: float = 0.1,
) -> Any:
    """``metaworld.utils.reward_utils.tolerance``."""
    lower, upper = bounds
    if sigmoid != "long_tail" or not margin > 0 or not isinstance(x, float) or lower > upper:
        return reward_utils.tolerance(x, bounds, margin, sigmoid, value_at_margin)  # type: ignore[arg-type]
    if lower <= x <= upper:
        return 1.0
    distance = float(lower - x if x < lower else x - upper) / float(margin)
    # pow, because the library's ** 2 on a NumPy scalar is not the product with itself in the last bit.
    return 1 / (pow(distance * sqrt(1 / value_at_margin - 1), 2) + 1)


class Rotation:
    """``Rotation.from_matrix(matrix).as_quat()`` of SciPy for one matrix [3, 3], and nothing else of it."""

    def __init__(self, quaternion: NDArray[np.float64]) -> None:
        self._quaternion = quaternion

    def as_quat(self) -> NDArray[np.float64]:
        """The quaternion [4], scalar last."""
        return self._quaternion

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.float64]) -> Rotation:
        """Of a rotation matrix [3, 3]; SciPy itself where the matrix needs to be made orthogonal first."""
        rows = matrix.tolist()
        if not _surely_orthogonal(rows):
            return cls(ScipyRotation.from_matrix(matrix).as_quat())
        diagonal = (rows[0][0], rows[1][1], rows[2][2])
        trace = rows[0][0] + rows[1][1] + rows[2][2]
        quaternion = [0.0, 0.0, 0.0, 0.0]
        i = max(range(3), key=diagonal.__getitem__)
        if trace > diagonal[i]:
            quaternion[0] = rows[2][1] - rows[1][2]
            quaternion[1] = rows[0][2] - rows[2][0]
            quaternion[2] = rows[1][0] - rows[0][1]
            quaternion[3] = 1 + trace
        else:
            j, k = (i + 1) % 3, (i + 2) % 3
            quaternion[i] = 1 - trace + 2 * rows[i][i]
            quaternion[j] = rows[j][i] + rows[i][j]
            quaternion[k] = rows[k][i] + rows[i][k]
            quaternion[3] = rows[k][j] - rows[j][k]
        x, y, z, w = quaternion
        norm = sqrt(x * x + y * y + z * z + w * w)
        return cls(np.array([x / norm, y / norm, z / norm, w / norm]))


def _surely_orthogonal(rows: list[list[float]]) -> bool:
    """Whether the matrix passes SciPy's test of orthogonality, with room for another order of sums."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    off = max(abs(a * d + b * e + c * f), abs(a * g + b * h + c * i), abs(d * g + e * h + f * i))
    lengths = (a * a + b * b + c * c, d * d + e * e + f * f, g * g + h * h + i * i)
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return off < 5e-13 and all(isclose(length, 1, abs_tol=5e-6) for length in lengths) and determinant > 0.5
