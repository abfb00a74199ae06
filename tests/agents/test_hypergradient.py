import pytest
import torch
from torch.func import grad, vmap

from mtrl.agents.hypergradient import Inverse, bilevel_loss
from mtrl.errors import UsageError


def quadratic_problems(tasks, upper, lower):
    """f = ½‖Bx + Cz − d‖² and l = ½ zᵀAz − zᵀEx with A's eigenvalues between 1 and 5."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(tasks, *shape, generator=generator, dtype=torch.float64)

    q = torch.linalg.qr(normal(lower, lower)).Q
    a = q @ torch.linspace(1, 5, lower, dtype=torch.float64).diag() @ q.mT
    return {"A": a, "B": normal(4, upper), "C": normal(4, lower), "d": normal(4), "E": normal(lower, upper)}


def f(problem, x, z):
    return 0.5 * (problem["B"] @ x + problem["C"] @ z - problem["d"]).square().sum()


def inner(problem, x, z):
    return 0.5 * z @ problem["A"] @ z - z @ problem["E"] @ x


def solution(problem, x):
    return torch.linalg.solve(problem["A"], problem["E"] @ x)


def relative_error(solver, terms):
    problems = quadratic_problems(tasks=3, upper=5, lower=6)
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)
    inverse = Inverse(solver, terms, damping=0.0)

    def loss(x, problem):
        z = solution(problem, x).detach()
        upper, lower = (lambda x, z: (f(problem, x, z), {})), (lambda x, z: inner(problem, x, z))
        return bilevel_loss(upper, lower, x, z, inverse)[0]

    found = vmap(grad(loss), in_dims=(None, 0))(x, problems)
    exact = vmap(grad(lambda x, problem: f(problem, x, solution(problem, x))), in_dims=(None, 0))(x, problems)
    return torch.linalg.vector_norm(found - exact, dim=1) / torch.linalg.vector_norm(exact, dim=1)  # [K]


def test_conjugate_gradients_give_the_exact_gradient_of_a_quadratic_bilevel_problem():
    assert (relative_error("cg", 6) < 1e-6).all()
    assert (relative_error("cg", 2) > 1e-3).all()


def test_the_neumann_series_falls_to_it_with_the_number_of_terms():
    errors = torch.stack([relative_error("neumann", terms) for terms in range(1, 16)])
    assert (errors[1:].amax(1) < errors[:-1].amax(1)).all()
    assert (errors[0] > 0.05).all()
    assert (relative_error("neumann", 60) < 1e-6).all()


def test_the_value_is_that_of_the_upper_problem():
    problem = {name: value[0] for name, value in quadratic_problems(1, 5, 6).items()}
    x, z = torch.ones(5).double(), torch.ones(6).double()
    value, metrics = bilevel_loss(
        lambda x, z: (f(problem, x, z), {"seen": z.sum()}),
        lambda x, z: inner(problem, x, z),
        x,
        z,
        Inverse("cg", 6, damping=0.0),
    )
    torch.testing.assert_close(value, f(problem, x, z))
    assert set(metrics) == {"seen", "inverse_residual"}
    assert metrics["inverse_residual"] < 1e-6


@pytest.mark.parametrize("solver", ["neumann", "cg"])
def test_damping_adds_to_the_diagonal(solver):
    hessian = torch.diag(torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64))
    vector = torch.ones(3, dtype=torch.float64)
    found, residual = Inverse(solver, 100, damping=0.5)(lambda v: hessian @ v, vector)
    torch.testing.assert_close(found, 1 / (hessian.diag() + 0.5))
    assert residual < 1e-6


@pytest.mark.parametrize("solver", ["neumann", "cg"])
def test_a_solution_stays_where_the_inner_problem_is_not_convex(solver):
    hessian = torch.diag(torch.tensor([-2.0, 1.0]))
    for vector in (torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.9]), torch.zeros(2)):
        found, _ = Inverse(solver, 10, damping=0.1)(lambda v: hessian @ v, vector)
        assert found.isfinite().all()
        assert found.norm() <= 2 * vector.norm() / 0.1
    assert not Inverse(solver, 10, damping=0.1)(lambda v: hessian @ v, torch.tensor([1.0, 0.0]))[0].any()


@pytest.mark.parametrize(
    "option", [{"solver": "newton"}, {"terms": 0}, {"terms": True}, {"terms": 1.5}, {"damping": -1.0}]
)
def test_options_out_of_range_are_named(option):
    with pytest.raises(UsageError, match=next(iter(option))):
        Inverse(**({"solver": "cg", "terms": 5, "damping": 1.0} | option))
