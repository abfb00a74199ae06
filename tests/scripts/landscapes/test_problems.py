"""What the papers say of their toy problems. Points and rates of the short versions keep them to seconds."""

from functools import partial

import pytest
import torch

from landscapes.descend import Adam, ProjectedDescent, follow
from landscapes.problems import (
    BOWL_RATE,
    BOWL_START,
    VALLEY_FLOOR,
    VALLEY_STARTS,
    bowl_gradients,
    draw_bowls,
    every_draw,
    into_bowl_domain,
    valley_floors,
    valley_gradients,
    valley_losses,
    valley_pareto_distance,
    valley_pareto_set,
)
from mtrl.aggregators import MGDA, CAGrad, CorrelationReduced, Mean, PCGrad, mgda_weights

METHODS = {
    "mean": partial(Mean, 2),
    "mgda": partial(MGDA, 2),
    "pcgrad": partial(PCGrad, 2),
    "cagrad": partial(CAGrad, 2, c=0.5),
}


def random_points(count):
    return 20 * torch.rand(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 10


def valleys(points):
    return valley_gradients(points), valley_losses(points)


def ends_on_valleys(names, starts, learning_rate, steps):
    """Where each method ends, [S, 2]."""
    torch.manual_seed(0)
    starts = torch.tensor(starts, dtype=torch.float64)
    methods = {name: METHODS[name] for name in names}
    paths = follow(methods, starts, valleys, Adam(learning_rate), steps, steps)
    return {name: path[-1] for name, path in paths.items()}


# The functions


def test_the_losses_are_those_of_the_published_code():
    def printed(x1, x2):
        x1, x2 = torch.tensor(x1).double(), torch.tensor(x2).double()
        f1 = (0.5 * (-x1 - 7) - torch.tanh(-x2)).abs().clamp(min=VALLEY_FLOOR).log() + 6
        f2 = (0.5 * (-x1 + 3) + torch.tanh(-x2) + 2).abs().clamp(min=VALLEY_FLOOR).log() + 6
        g1 = ((-x1 + 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
        g2 = ((-x1 - 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
        c1, c2 = torch.tanh(0.5 * x2).clamp(min=0), torch.tanh(-0.5 * x2).clamp(min=0)
        return torch.stack([c1 * f1 + c2 * g1, c1 * f2 + c2 * g2])

    for point in (*VALLEY_STARTS, (-5.0, 4.0), (3.0, -2.0)):
        torch.testing.assert_close(valley_losses(torch.tensor(point).double()), printed(*point))


def test_valley_gradients_are_finite_differences():
    points, h = random_points(200), 1e-6
    differences = [
        (valley_losses(points + step) - valley_losses(points - step)) / (2 * h)
        for step in torch.tensor([[h, 0], [0, h]]).double()
    ]
    torch.testing.assert_close(valley_gradients(points), torch.stack(differences, -1), rtol=1e-4, atol=1e-6)


def test_both_halves_count_where_they_meet():
    origin = torch.zeros(1, 2).double()
    valley = torch.tensor(3.5).log() + 6
    bowl = (49 + 6.4) / 10 - 20
    expected = torch.tensor([[0.0, 0.5 * (valley - bowl)]] * 2).double()
    torch.testing.assert_close(valley_gradients(origin)[0], expected)


def test_the_bottom_of_a_valley_is_flat_across():
    # tanh(40) is 1 in float64, so the second objective's distance is exactly zero at x1 = 5.
    gradients = valley_gradients(torch.tensor([[5.0, 40.0]]).double())
    assert gradients.isfinite().all()
    assert gradients[0, 1].tolist() == [0, 0]


def test_the_pareto_set_is_where_the_shortest_combination_vanishes():
    x1 = torch.linspace(-6.9, 6.9, 15).double()
    x2 = valley_pareto_set(x1)
    assert x2[7].item() == pytest.approx(-8.36, abs=0.005)
    centre = valley_losses(torch.stack([x1, x2], -1))[7].mean()
    assert centre.item() == pytest.approx(-15.09, abs=0.005)

    def shortest(points):
        gradients = valley_gradients(points)
        return torch.stack([(mgda_weights(rows @ rows.T) @ rows).norm() for rows in gradients])

    assert (shortest(torch.stack([x1, x2], -1)) < 1e-9).all()
    assert (shortest(torch.stack([x1, x2 + 0.5], -1)) > 1e-3).all()
    assert valley_pareto_distance(torch.tensor([9.0, -8.43]).double()).item() == pytest.approx(2, abs=0.01)


def test_each_loss_is_lowest_on_its_floor():
    x2 = torch.tensor([1.0, 4.0, 8.0]).double()
    for objective, floor in enumerate(valley_floors(x2)):
        here, left, right = (valley_losses(torch.stack([floor + h, x2], -1)) for h in (0, -0.1, 0.1))
        assert (here[:, objective] < left[:, objective] - 1).all()
        assert (here[:, objective] < right[:, objective] - 1).all()


def test_the_expected_bowls_are_those_of_the_paper():
    # f_1 = (x + 3)² + y² + 8 and its mirror image.
    for x, y in ((0.0, 0.4), (-0.7, 0.0), (1.0, 2.0)):
        rows = bowl_gradients(torch.tensor([[x, y]]).double().expand(4, 2), every_draw()).mean(0)
        torch.testing.assert_close(rows, torch.tensor([[2 * (x + 3), 2 * y], [2 * (x - 3), 2 * y]]).double())


def test_draws_are_fair_and_independent():
    drawn = draw_bowls(4000, torch.Generator().manual_seed(0)).double()
    assert drawn.mean(0).sub(0.5).abs().max() < 0.05
    assert torch.corrcoef(drawn.T)[0, 1].abs() < 0.05


# Following


def test_every_start_is_followed_on_its_own():
    starts = random_points(3)
    methods = {"smoothed": partial(CorrelationReduced, MGDA, num_tasks=2, alpha=0.9), "mean": METHODS["mean"]}
    together = follow(methods, starts, valleys, Adam(0.01), steps=6, every=2)
    assert together["smoothed"].shape == (4, 3, 2)
    for name, build in methods.items():
        for index in range(3):
            alone = follow({name: build}, starts[index : index + 1], valleys, Adam(0.01), steps=6, every=2)
            torch.testing.assert_close(alone[name][:, 0], together[name][:, index])


def test_a_trajectory_is_what_the_method_and_the_optimizer_make_of_it():
    point = torch.tensor(VALLEY_STARTS[0]).double().requires_grad_()
    optimizer, aggregator = torch.optim.Adam([point], lr=0.01), MGDA(2)
    for _ in range(10):
        rows = torch.autograd.functional.jacobian(valley_losses, point)
        point.grad = aggregator(rows, valley_losses(point.detach())).vector
        optimizer.step()
    starts = torch.tensor(VALLEY_STARTS[:1]).double()
    path = follow({"mgda": METHODS["mgda"]}, starts, valleys, Adam(0.01), 10)["mgda"]
    torch.testing.assert_close(path[-1, 0], point.detach())


# The valleys


def test_gradient_descent_crawls_in_two_valleys_that_mgda_leaves():
    ends = ends_on_valleys(("mean", "mgda"), VALLEY_STARTS, learning_rate=0.005, steps=2200)
    in_valley = torch.tensor([True, False, False, True, False])
    assert (ends["mean"][in_valley, 1] > 1).all()
    assert (ends["mean"][~in_valley, 1] < -4).all()
    assert (ends["mgda"][:, 1] < -2).all()


def test_each_method_has_its_own_point_of_the_pareto_set():
    starts = [VALLEY_STARTS[1], VALLEY_STARTS[4]]
    ends = ends_on_valleys(("mgda", "pcgrad", "cagrad"), starts, learning_rate=0.02, steps=1500)
    for end in ends.values():
        assert (valley_pareto_distance(end) < 0.05).all()
    assert ends["mgda"][:, 0].tolist() == pytest.approx([-7, 7], abs=0.05)
    assert (ends["mgda"] - ends["pcgrad"]).norm(dim=1).max() > 0.2
    assert (ends["cagrad"] - torch.tensor([0, -8.36])).norm(dim=1).max() < 0.6  # on its way, see below


@pytest.mark.slow
def test_the_papers_runs():
    ends = ends_on_valleys(("mean", "mgda"), VALLEY_STARTS, learning_rate=0.001, steps=30_000)
    stuck = valley_pareto_distance(ends["mean"]) > 1
    assert stuck.tolist() == [True, False, False, True, False]
    assert (valley_pareto_distance(ends["mgda"]) < 0.05).all()
    assert ends["mgda"][:, 0].tolist() == pytest.approx([-3.3, -7, 0, 3.3, 7], abs=0.1)


@pytest.mark.slow
def test_cagrad_reaches_the_best_average_from_everywhere():
    ends = ends_on_valleys(("cagrad",), VALLEY_STARTS, learning_rate=0.001, steps=80_000)
    assert (ends["cagrad"] - torch.tensor([0, -8.36])).norm(dim=1).max() < 0.05


# The noisy bowls


def expected_direction(build, point):
    rows = bowl_gradients(torch.tensor([point]).double().expand(4, 2), every_draw())
    return torch.stack([build()(gradients, torch.ones(2).double()).vector for gradients in rows]).mean(0)


@pytest.mark.parametrize("method", ["mgda", "pcgrad"])
def test_the_expected_step_of_stochastic_weights_leads_away(method):
    direction = expected_direction(METHODS[method], BOWL_START)
    assert direction[0].item() == pytest.approx(0, abs=1e-12)
    assert direction[1] < -0.01  # the step −d goes up, the Pareto set is below
    truth = torch.tensor([[6, 0.8], [-6, 0.8]]).double()
    assert (truth @ direction < 0).all(), "it conflicts with both expected gradients"
    torch.testing.assert_close(
        expected_direction(METHODS["mean"], BOWL_START), torch.tensor([0, 0.8]).double()
    )


def heights_on_bowls(steps, runs):
    """Heights y above the Pareto set at the end, [runs], plain and smoothed."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    plain = {name: METHODS[name] for name in ("mgda", "pcgrad")}
    smoothed = {
        f"cr_{name}": partial(CorrelationReduced, build, num_tasks=2, alpha="corollary1")
        for name, build in (("mgda", MGDA), ("pcgrad", PCGrad))
    }

    def objective(points):
        drawn = draw_bowls(runs, generator).repeat(4, 1)
        return bowl_gradients(points, drawn), torch.ones(len(points), 2).double()

    starts = torch.tensor(BOWL_START).double().repeat(runs, 1)
    update = ProjectedDescent(BOWL_RATE, into_bowl_domain)
    paths = follow(plain | smoothed, starts, objective, update, steps, steps)
    return {name: path[-1, :, 1] for name, path in paths.items()}


def test_smoothing_approaches_what_the_plain_methods_leave():
    heights = heights_on_bowls(steps=300, runs=20)
    for name in ("mgda", "pcgrad"):
        assert heights[name].mean() > 0.36
        assert heights[f"cr_{name}"].mean() < 0.3


@pytest.mark.slow
def test_smoothing_reaches_the_pareto_set():
    heights = heights_on_bowls(steps=10_000, runs=20)
    for name in ("mgda", "pcgrad"):
        assert heights[name].mean() > 0.4
        assert heights[f"cr_{name}"].median() < 0.05
