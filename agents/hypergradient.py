"""Differentiates a bilevel objective (Fernando et al., ICLR 2023, section 3.2, equations 12 to 15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import grad, vjp
from torch.utils._pytree import tree_map

from mtrl.types import Metrics
from mtrl.validation import require_choice, require_integer, require_number

Product = Callable[[Tensor], Tensor]  # v [Q] -> H v [Q]


@dataclass(frozen=True)
class Inverse:
    """Applies (H + δI)⁻¹ to a vector, with one product with H for each term.

    Equation 13 wants H, the Hessian of a critic's loss, to be positive definite; that of a network is not.
    Damping makes up for a little negative curvature: where H + δI has less than δ/2 along a step, that
    task's solution stays as it is, and no step multiplies its vector by more than 2/δ.

    Args:
        solver: "neumann" or "cg", see :func:`neumann` and :func:`conjugate_gradients`.
        terms: the number of products.
        damping: δ, added to the diagonal.
    """

    solver: Literal["neumann", "cg"]
    terms: int
    damping: float

    def __post_init__(self) -> None:
        require_choice("solver", self.solver, ("neumann", "cg"))
        require_integer("terms", self.terms, 1, 1000)
        require_number("damping", self.damping, low=0)

    def __call__(self, product: Product, vector: Tensor) -> tuple[Tensor, Tensor]:
        """About (H + δI)⁻¹ v, [Q], and the residual's norm over that of v, 0-d."""
        solve = neumann if self.solver == "neumann" else conjugate_gradients
        solution, residual = solve(product, vector, self.terms, self.damping)
        return solution, _ratio(residual.square().sum(), vector.square().sum()).sqrt()


def neumann(product: Product, vector: Tensor, terms: int, damping: float) -> tuple[Tensor, Tensor]:
    """Σ_j η_j Π_{i<j} (I − η_i A) v, the Neumann series of A⁻¹ v with A = H + δI.

    The series needs a normaliser η below 2 over A's largest eigenvalue, which is not known and is another
    for each task. Here each term takes the η_j that leaves the shortest residual; on a multiple of the
    identity this is the classical constant. The residual never grows.

    Returns:
        the solution [Q] and the residual v − A·solution [Q].
    """
    solution, residual = torch.zeros_like(vector), vector
    for _ in range(terms):
        image, convex = _damped(product, residual, damping)
        step = torch.where(convex, _ratio(residual @ image, image @ image), 0)
        solution = solution + step * residual
        residual = residual - step * image
    return solution, residual


def conjugate_gradients(
    product: Product, vector: Tensor, terms: int, damping: float
) -> tuple[Tensor, Tensor]:
    """A⁻¹ v with A = H + δI, exact after as many terms as A has different eigenvalues.

    Returns:
        the solution [Q] and the residual v − A·solution [Q].
    """
    solution, residual, direction = torch.zeros_like(vector), vector, vector
    square = vector @ vector
    for _ in range(terms):
        image, convex = _damped(product, direction, damping)
        # Without enough curvature the step is zero; residual and direction, and so all later steps, stay.
        step = torch.where(convex, _ratio(square, direction @ image), 0)
        solution = solution + step * direction
        residual = residual - step * image
        previous, square = square, residual @ residual
        moved = residual + _ratio(square, previous) * direction
        direction = torch.where(convex, moved, direction)
    return solution, residual


def bilevel_loss(
    upper: Callable[[Any, Tensor], tuple[Tensor, Metrics]],
    lower: Callable[[Any, Tensor], Tensor],
    x: Any,
    z: Tensor,
    inverse: Inverse,
) -> tuple[Tensor, Metrics]:
    """The value f(x, z), made so that its gradient in x is the hypergradient of equation 15,

        h = ∇_x f(x, z) − ∇²_xz l(x, z) [∇²_zz l(x, z) + δI]⁻¹ ∇_z f(x, z).

    The second term is the gradient in x of −⟨v, ∇_z l(x, z)⟩ for the constant v = [...]⁻¹ ∇_z f, so a loss
    of this kind takes the way of any other through the per-task gradients.

    Args:
        upper: f with its metrics.
        lower: l.
        x: parameters of the upper problem, a pytree.
        z: parameters of the lower problem [Q], near its solution.
        inverse: applies [...]⁻¹.

    Returns:
        f with that gradient; its metrics and the "inverse_residual", relative, 0 where v is exact.
    """
    fixed = tree_map(Tensor.detach, x)
    slope = grad(lambda z: upper(fixed, z)[0])(z)  # ∇_z f, [Q]
    # One backward pass over the graph of ∇_z l for each product; the graph is built once.
    pullback = vjp(lambda z: grad(lower, argnums=1)(fixed, z), z)[1]
    solution, residual = inverse(lambda vector: pullback(vector)[0], slope)
    inner = solution.detach() @ grad(lower, argnums=1)(x, z)
    value, metrics = upper(x, z)
    # The inner product has a gradient to give, and no value.
    return value - (inner - inner.detach()), metrics | {"inverse_residual": residual}


def _damped(product: Product, vector: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """(H + δI) v, and whether H + δI curves upwards along v by at least δ/2."""
    image = product(vector) + damping * vector
    return image, vector @ image >= 0.5 * damping * (vector @ vector)


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, 0 for a denominator of 0."""
    positive = denominator > 0
    return torch.where(positive, numerator, 0) / torch.where(positive, denominator, 1)
