import numpy as np
import pytest
import torch

from mtrl.aggregators import CAGrad
from mtrl.aggregators.cagrad import cagrad_multipliers, cagrad_weights
from mtrl.aggregators.mgda import mgda_weights
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import FAMILIES, draw
from tests.mtrl.aggregators.reference import best_worst_improvement


def dual_value(gradients, weights, c):
    """F(w) of the dual at the multipliers that a direction implies: d − g_0 is parallel to g_w."""
    mean = gradients.mean(0)
    return mean @ (weights @ gradients) + c * mean.norm() * (weights @ gradients).norm()


@pytest.mark.parametrize("num", [2, 10, 50])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_worst_case_on_every_family(family, num):
    gradients = draw(family, num)
    mean = gradients.mean(0)
    for c in (0.1, 0.5, 1.0):
        direction = cagrad_weights(gradients @ gradients.T, c) @ gradients
        radius = c * mean.norm()
        assert (direction - mean).norm() <= radius * (1 + 1e-6) + 1e-12
        if mean.norm() < 1e-9 * gradients.norm():
            continue  # the ball is a point
        kept = gradients[gradients.square().sum(1) > 0].numpy()
        best = best_of(kept, mean.numpy(), float(radius))
        worst = (torch.from_numpy(kept) @ direction).min()
        uniform = (1 + c) * mean.square().sum()
        assert best - worst <= 1e-4 * uniform
        assert worst - best <= 1e-4 * uniform, "better than the optimum: the reference is wrong"


def best_of(gradients, mean, radius):
    """The reference in the span of the gradients, where its cones are small."""
    basis = np.linalg.svd(np.vstack([gradients, mean]), full_matrices=False)[2]
    return best_worst_improvement(gradients @ basis.T, mean @ basis.T, radius)


@pytest.mark.parametrize("family", ["random", "lognormal_norms", "equiangular", "clusters"])
@pytest.mark.parametrize("num", [2, 10, 50])
def test_certified_by_duality(family, num):
    # Equation 12: F(w) bounds min_i ⟨g_i, d⟩ from above for every w, and meets it at the optimum.
    gradients, c = draw(family, num, seed=1), 0.5
    gram = gradients @ gradients.T
    mean = gradients.mean(0)
    direction = cagrad_weights(gram, c) @ gradients
    implied = cagrad_weights(gram, c) - 1 / num  # proportional to w
    w = implied.clamp(min=0) / implied.clamp(min=0).sum()
    gap = dual_value(gradients, w, c) - (gradients @ direction).min()
    uniform = (1 + c) * mean.square().sum()
    assert -1e-9 * uniform <= gap <= 1e-4 * uniform


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num", [2, 10, 50])
def test_the_multipliers_certify_the_direction_where_weights_cannot(family, num):
    gradients, c = draw(family, num, seed=1), 0.5
    gradients = gradients[gradients.square().sum(1) > 0]
    gram = gradients @ gradients.T
    w = cagrad_multipliers(gram, c)
    assert (w >= 0).all()
    assert w.sum() == pytest.approx(1)
    gap = dual_value(gradients, w, c) - (gradients @ (cagrad_weights(gram, c) @ gradients)).min()
    uniform = (1 + c) * gradients.mean(0).square().sum()
    assert -1e-9 * uniform <= gap <= 1e-4 * uniform


def test_no_radius_is_the_mean():
    gradients = draw("random", 10)
    found = cagrad_weights(gradients @ gradients.T, 0.0)
    torch.testing.assert_close(found, torch.full_like(found, 0.1))


@pytest.mark.parametrize("family", ["random", "lognormal_norms", "equiangular"])
def test_a_large_radius_turns_towards_mgda(family):
    gradients, c = draw(family, 10), 1e4
    gram = gradients @ gradients.T
    found = cagrad_weights(gram, c) @ gradients / (1 + c)
    short = mgda_weights(gram) @ gradients
    expected = gradients.mean(0).norm() * short / short.norm()
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=float(1e-3 * expected.norm()))


def test_weighted_tasks_count_as_copies():
    # Two copies of a task are one task with twice the share: what CAGrad-Fast's joint row relies on.
    gradients = draw("random", 4)
    copies = gradients[[0, 1, 2, 3, 3]]
    expected = cagrad_weights(copies @ copies.T, 0.5) @ copies
    shares = torch.tensor([0.2, 0.2, 0.2, 0.4]).double()
    found = cagrad_weights(gradients @ gradients.T, 0.5, shares) @ gradients
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_papers_descent_is_close_at_few_tasks_and_worse_than_exact():
    gradients = draw("random", 10).float()
    losses = torch.ones(10)
    mean = gradients.mean(0)

    def gap(aggregator):
        direction = aggregator(gradients, losses).vector
        best = best_of(gradients.double().numpy(), mean.double().numpy(), 0.5 * float(mean.norm()))
        return (best - (gradients @ direction).min()) / (1.5 * mean.square().sum())

    exact, descent = gap(CAGrad(10, c=0.5)), gap(CAGrad(10, c=0.5, solver="sgd"))
    assert exact <= 1e-4
    assert 1e-3 < descent < 0.3


def short_mean(num, seed=0, columns=257):
    """Gradients whose mean is a thousandth of what it was."""
    gradients = torch.randn(num, columns, generator=torch.Generator().manual_seed(seed))
    return gradients - 0.999 * gradients.mean(0)


@pytest.mark.parametrize("solver", ["exact", "sgd"])
@pytest.mark.parametrize("rescale", ["none", "1+c2"])
@pytest.mark.parametrize(("num", "columns"), [(3, 257), (10, 257), (10, 30_000)])
def test_the_ball_is_kept_where_the_mean_is_short(solver, rescale, num, columns):
    aggregator = CAGrad(num, solver=solver, rescale=rescale)
    for seed in range(3):
        gradients = short_mean(num, seed, columns)
        mean = gradients.double().mean(0)
        direction = aggregator(gradients, torch.ones(num))
        offset = direction.vector.double() / aggregator.scale - mean
        # What single precision leaves of the mean is known to 1e-4, at random in each coordinate.
        assert offset.norm() <= 0.5 * mean.norm() * (1 + 2e-5)
        assert offset.norm() >= 0.5 * mean.norm() * 0.985
        torch.testing.assert_close(direction.weights @ gradients, direction.vector, rtol=1e-3, atol=1e-5)


def stationary(num, kind):
    """Gradients of which some positive combination vanishes, so that many directions are optimal."""
    gradients = torch.randn(num, 60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if kind == "opposite":
        gradients[-1] = -gradients[0]
    else:
        gradients[2] = -gradients[0] - 0.5 * gradients[1]
    return gradients


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["opposite", "triangle"])
@pytest.mark.parametrize("num", [4, 10])
def test_where_many_directions_are_optimal_the_order_of_tasks_decides_nothing(num, kind, dtype):
    gradients = stationary(num, kind).to(dtype)
    aggregator, losses = CAGrad(num), torch.ones(num)
    expected = aggregator(gradients, losses).vector
    for order in (torch.arange(num).flip(0), torch.arange(num).roll(1)):
        found = aggregator(gradients[order], losses).vector
        # Rounded to single precision, three gradients no longer cancel, and then one direction is the best.
        rounded = dtype == torch.float32 and kind == "triangle"
        assert (found - expected).norm() <= (1e-2 if rounded else 1e-5) * expected.norm()
    assert (gradients @ expected).min() >= -1e-4 * gradients.mean(0).square().sum()


def published_sgd(gradients, c, learning_rate):
    """The authors' code for multi-task reinforcement learning."""
    gram = gradients @ gradients.T
    gram = gram / (gram.diagonal() + 1e-4).sqrt().mean().square()
    towards, square = gram.mean(1), gram.mean()
    w = torch.zeros(len(gram), dtype=gram.dtype, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=learning_rate, momentum=0.5)
    radius = (square + 1e-4).sqrt() * c
    best, best_value = w.detach().clone(), torch.inf
    for step in range(21):
        optimizer.zero_grad()
        p = w.softmax(0)
        value = p @ towards + radius * (p @ gram @ p + 1e-4).sqrt()
        if value < best_value:
            best, best_value = w.detach().clone(), value.item()
        if step < 20:
            value.backward()
            optimizer.step()
    p = best.softmax(0)
    length = radius / ((p @ gram @ p + 1e-4).sqrt() + 1e-4)
    return (1 / len(gram) + length * p) @ gradients / (1 + c**2)


@pytest.mark.parametrize(("family", "num"), [("random", 10), ("lognormal_norms", 10), ("lognormal_norms", 5)])
def test_the_descent_is_the_published_one(family, num):
    gradients = draw(family, num, seed=3)
    expected = published_sgd(gradients, 0.5, 25.0)
    found = CAGrad(num, c=0.5, solver="sgd", rescale="1+c2")(gradients, torch.ones(num)).vector
    assert (found - expected).norm() <= 1e-3 * expected.norm()


def test_rescaling_divides_by_one_plus_c_squared():
    gradients, losses = draw("random", 5).float(), torch.ones(5)
    plain = CAGrad(5, c=0.5)(gradients, losses).vector
    rescaled = CAGrad(5, c=0.5, rescale="1+c2")(gradients, losses).vector
    torch.testing.assert_close(rescaled, plain / 1.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"c": -0.1}, "CAGrad: c must be a number, finite and at least 0; found -0.1"),
        ({"c": float("nan")}, "c must be .* found nan"),
        ({"c": "0.5"}, "c must be a number.* found '0.5'"),
        ({"solver": "exakt"}, "solver must be one of exact, sgd; found 'exakt'"),
        ({"rescale": "1+c"}, "rescale must be one of"),
        ({"learning_rate": 0.0}, "learning_rate must be .*greater than 0"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UsageError, match=message.replace("+", r"\+")):
        CAGrad(3, **options)
