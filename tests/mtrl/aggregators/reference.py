"""Independent references: vector loops and a conic solver, nothing from the package under test."""

from __future__ import annotations

import numpy as np
import qpsolvers
from scipy import sparse
from torch import Tensor


def min_norm_weights(gram: np.ndarray) -> np.ndarray:
    """argmin over the simplex of wᵀ gram w, by CLARABEL."""
    num = len(gram)
    scaled = gram / np.diag(gram).mean()
    solved = qpsolvers.solve_qp(
        sparse.csc_matrix(scaled),
        np.zeros(num),
        A=sparse.csc_matrix(np.ones((1, num))),
        b=np.ones(1),
        lb=np.zeros(num),
        solver="clarabel",
        tol_gap_abs=1e-12,
        tol_gap_rel=1e-12,
        tol_feas=1e-12,
    )
    weights = np.clip(solved, 0, None)
    return weights / weights.sum()


def best_worst_improvement(gradients: np.ndarray, mean: np.ndarray, radius: float) -> float:
    """max over ‖d − mean‖ <= radius of min_i ⟨g_i, d⟩, by CLARABEL with a second-order cone."""
    import clarabel

    num, size = gradients.shape
    unit = np.linalg.norm(gradients, axis=1).mean()
    rows = gradients / unit
    mean, radius = mean / unit, radius / unit
    # Variables (d, z), minimising −z; Ax + s = b with s in a cone.
    worst = np.hstack([-rows, np.ones((num, 1))])  # z − ⟨g_i, d⟩ <= 0
    ball = np.vstack([np.zeros(size + 1), np.hstack([-np.eye(size), np.zeros((size, 1))])])
    matrix = sparse.csc_matrix(np.vstack([worst, ball]))
    right = np.concatenate([np.zeros(num), [radius], -mean])
    cones = [clarabel.NonnegativeConeT(num), clarabel.SecondOrderConeT(size + 1)]
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    cost = np.zeros(size + 1)
    cost[-1] = -1
    zero = sparse.csc_matrix((size + 1, size + 1))
    solution = clarabel.DefaultSolver(zero, cost, matrix, right, cones, settings).solve()
    return float(solution.x[-1]) * unit**2


def pcgrad_loop(gradients: Tensor, order: Tensor) -> Tensor:
    """Algorithm 1 on the vectors themselves; the modified gradients [K, P]."""
    modified = gradients.clone()
    for i, own in enumerate(modified):
        for j in order[i].tolist():
            product = own @ gradients[j]
            if j != i and product < 0:
                own -= product / gradients[j].square().sum() * gradients[j]
    return modified


def gradvac_loop(gradients: Tensor, order: Tensor, target: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Algorithm 1 on the vectors themselves; the modified gradients [K, P] and the new targets [K, K]."""
    modified, target = gradients.clone(), target.clone()
    for i, own in enumerate(modified):
        for j in order[i].tolist():
            if j == i:
                continue
            other = gradients[j]
            cosine = own @ other / (own.norm() * other.norm())
            goal = target[i, j].clone()
            if cosine < goal:
                sine, goal_sine = (1 - cosine**2).sqrt(), (1 - goal**2).sqrt()
                own += other * own.norm() * (goal * sine - cosine * goal_sine) / (other.norm() * goal_sine)
            target[i, j] = (1 - beta) * goal + beta * cosine
    return modified, target


def gram_schmidt_projection(gradient: Tensor, others: Tensor) -> Tensor:
    """``gradient`` minus its part in the span of ``others``, orthogonalised twice against rounding."""
    basis: list[Tensor] = []
    for row in others:
        rest = row.clone()
        for _ in range(2):
            for unit in basis:
                rest -= (unit @ rest) * unit
        if rest.norm() > 1e-10 * row.norm():
            basis.append(rest / rest.norm())
    left = gradient.clone()
    for _ in range(2):
        for unit in basis:
            left -= (unit @ left) * unit
    return left
