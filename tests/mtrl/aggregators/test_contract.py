"""What every method promises, whatever it computes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtrl.aggregators import GramAggregator, TaskSubset
from mtrl.config import instantiate
from mtrl.config.registry import method_config
from mtrl.errors import UsageError
from tests.mtrl.aggregators.built_aggregators import (
    BENT,
    MASKED_COUNTS_AS_ZERO,
    METHODS,
    SCALE_DEPENDENT,
    WAITS_FOR_THE_DEVICE,
    build,
    fresh,
    is_random,
    losses,
    matrix,
    vector,
)

ON_DEVICE = [method for method in METHODS if method not in WAITS_FOR_THE_DEVICE]


def test_the_table_has_the_papers_methods():
    papers = {
        "mean", "mgda", "pcgrad", "gradvac", "cagrad", "cagrad_fast", "graddrop", "imtl_g", "gradnorm",
        "nash_mtl", "uncertainty", "dynamic_weighting", "moco", "moco_pcgrad", "moco_cagrad", "cr_mgda",
        "cr_pcgrad", "cr_cagrad", "gradops", "famo", "stch", "torchjd",
    }  # fmt: skip
    assert papers <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_types(method, dtype):
    gradients = matrix(4, 6).to(dtype)
    direction = build(method, 4)(gradients, losses(4))
    assert direction.vector.shape == (6,)
    assert direction.vector.dtype == dtype
    assert all(value.shape in ((), (len(gradients),)) for value in direction.metrics.values())
    assert direction.metrics["masked_tasks"] == 0
    if direction.weights is not None:
        assert direction.weights.shape == (4,)
        torch.testing.assert_close(direction.vector, direction.weights @ gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_bad_inputs_are_explained(method):
    aggregator = build(method, 4)
    cases = [
        (torch.ones(3, 6), torch.ones(4), r"gradients must have .*4.*\[3, 6\]"),
        ([[1.0, 2.0]] * 4, torch.ones(4), "gradients must be a tensor, found list; use torch.stack"),
        (torch.ones(4, 6), [1.0] * 4, "losses must be a tensor, found list"),
        (torch.ones(24), torch.ones(4), r"gradients must have .*\[24\]"),
        (
            torch.ones(4, 6, dtype=torch.int64),
            torch.ones(4),
            "gradients must be floating point",
        ),
        (torch.ones(4, 6), torch.ones(3), r"losses must have shape \[K\] = \[4\], found \[3\]"),
        (torch.ones(4, 6), torch.ones(4, dtype=torch.int64), "losses must be floating point"),
    ]
    for gradients, values, message in cases:
        with pytest.raises(UsageError, match=message):
            aggregator(gradients, values)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("num_tasks", [0, -1, 2.0, True, None])
def test_the_number_of_tasks_is_checked(method, num_tasks):
    with pytest.raises(UsageError, match=r"num_tasks must be (a positive integer|given)"):
        instantiate.build("aggregator", method_config(method), num_tasks=num_tasks)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_tasks_does_not_matter(method):
    gradients, values = matrix(4, 6), losses(4)
    order = torch.tensor([2, 0, 3, 1])
    if not is_random(method, 4):
        first = vector(build(method, 4), gradients, values)
        second = vector(build(method, 4), gradients[order], values[order])
        torch.testing.assert_close(second, first, rtol=1e-4, atol=1e-5)
        return
    # In law: the mean over fresh instances, up to five standard errors.
    draws = [[], []]
    torch.manual_seed(0)
    for _ in range(150):
        draws[0].append(fresh(method)(gradients, values).vector)
        draws[1].append(fresh(method)(gradients[order], values[order]).vector)
    first, second = (torch.stack(sample) for sample in draws)
    error = (first.var(0) / 150 + second.var(0) / 150).sqrt()
    assert ((first.mean(0) - second.mean(0)).abs() <= 5 * error + 1e-6).all()


@pytest.mark.parametrize("method", [name for name in METHODS if name not in SCALE_DEPENDENT])
@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_the_direction_scales_with_the_gradients(method, scale):
    aggregators = build(method, 4), build(method, 4)
    for seed in range(3):
        gradients = matrix(4, 6, seed)
        first = vector(aggregators[0], gradients, losses(4, seed), seed)
        second = vector(aggregators[1], scale * gradients, losses(4, seed), seed)
        torch.testing.assert_close(second, scale * first, rtol=1e-4, atol=scale * 1e-5)


@pytest.mark.parametrize("method", sorted(SCALE_DEPENDENT))
def test_the_exempt_methods_do_depend_on_scale(method):
    # Otherwise the exemption above hides nothing and should go.
    gradients, values = matrix(4, 6), losses(4)
    first = vector(build(method, 4), gradients, values)
    second = vector(build(method, 4), 1e-3 * gradients, values)
    assert not torch.allclose(second, 1e-3 * first, rtol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_equal_gradients_give_a_multiple_of_them(method):
    gradient = matrix(1, 6)[0]
    found = vector(build(method, 4), gradient.expand(4, 6).contiguous(), torch.ones(4))
    factor = 1.5 if "cagrad" in method else 1.0  # 1 + c
    torch.testing.assert_close(found, factor * gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_single_task(method):
    gradient = matrix(1, 6)
    found = vector(build(method, 1), gradient, losses(1))
    factor = (found @ gradient[0]) / gradient[0].square().sum()
    assert 0.99 <= factor <= 1.51
    torch.testing.assert_close(found, factor * gradient[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_finite_in_finite_out(method):
    for name, bend in BENT.items():
        aggregator = fresh(method)
        for seed in range(2):
            found = vector(aggregator, bend(matrix(4, 6, seed)), losses(4, seed), seed)
            assert found.isfinite().all(), name
        for entry, value in aggregator.state_dict().items():
            assert value.isfinite().all(), (name, entry)


@pytest.mark.parametrize("method", METHODS)
def test_a_finished_task_does_not_stop_the_others(method):
    gradients = matrix(4, 6)[[0, 0, 0, 0]] + 0.01 * matrix(4, 6, 1)
    gradients[2] = 0
    aggregator = build(method, 4)
    for seed in range(3):
        found = vector(aggregator, gradients, losses(4), seed)
    assert found @ gradients[0] > 0.3 * gradients[0].square().sum()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_task_that_is_not_finite_is_left_out(method, bad):
    aggregator = build(method, 4)
    clean = matrix(4, 6)
    vector(aggregator, clean, losses(4))
    broken = clean.clone()
    broken[1, 2] = bad
    for gradients, values in ((broken, losses(4)), (clean, losses(4) * torch.tensor([1.0, bad, 1, 1]))):
        torch.manual_seed(0)
        direction = aggregator(gradients, values)
        assert direction.vector.isfinite().all()
        assert direction.vector.norm() > 0
        assert direction.metrics["masked_tasks"] == 1
        assert direction.weights is None or direction.weights[1] == 0
    assert all(value.isfinite().all() for value in aggregator.state_dict().values())
    assert vector(aggregator, clean, losses(4)).isfinite().all()
    nothing = aggregator(clean * bad, losses(4))
    assert nothing.metrics["masked_tasks"] == 4
    assert nothing.vector.isfinite().all()


@pytest.mark.parametrize("method", METHODS)
def test_without_state_a_masked_task_might_as_well_not_exist(method):
    if build(method, 4).keeps_task_state or is_random(method, 4) or method in MASKED_COUNTS_AS_ZERO:
        pytest.skip("holds for methods without state or randomness")
    gradients, values = matrix(4, 6), losses(4)
    others = torch.tensor([0, 2, 3])
    expected = vector(build(method, 3), gradients[others], values[others])
    gradients[1] = torch.nan
    torch.testing.assert_close(vector(build(method, 4), gradients, values), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_gram_methods_see_inner_products_only(method):
    if not isinstance(build(method, 4), GramAggregator):
        pytest.skip("needs the whole gradients")
    gradients, values = matrix(4, 6).double(), losses(4)
    rotation = torch.linalg.qr(matrix(6, 6, 3).double()).Q
    first = vector(build(method, 4), gradients, values) @ rotation
    second = vector(build(method, 4), gradients @ rotation, values)
    torch.testing.assert_close(second, first, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_path_for_finite_gradients_is_the_same(method):
    # Wrappers call aggregate() with gradients that are known to be finite.
    gradients, values = matrix(4, 6), losses(4)
    expected = vector(build(method, 4), gradients, values)
    torch.manual_seed(0)
    shares = torch.full((4,), 0.25, dtype=torch.float64)
    found = build(method, 4).aggregate(gradients, values, shares).vector
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ON_DEVICE)
def test_nothing_waits_for_the_device(method):
    aggregator = build(method, 4).to("meta")
    device = torch.device("meta")
    for _ in range(2):
        direction = aggregator(torch.randn(4, 6, device=device), torch.rand(4, device=device))
    assert direction.vector.device == device
    if isinstance(aggregator, TaskSubset):
        proposal = aggregator.propose(device)
        gradients = torch.randn(len(proposal.mixing()), 6, device=device)
        assert aggregator(gradients, torch.rand(4, device=device), proposal).vector.device == device


@pytest.mark.parametrize("method", ON_DEVICE)
def test_compiles_as_one_graph(method):
    torch._dynamo.reset()
    plain, other = build(method, 3), build(method, 3)
    options = {"fullgraph": True, "backend": "eager"}
    compiled = torch.compile(other, **options)
    for seed in range(2):
        expected = vector(plain, matrix(3, 5, seed), losses(3, seed), seed)
        found = vector(compiled, matrix(3, 5, seed), losses(3, seed), seed)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pcgrad", "moco"])
def test_compiles_to_machine_code(method):
    torch._dynamo.reset()
    compiled = torch.compile(build(method, 3), fullgraph=True)
    assert vector(compiled, matrix(3, 5), losses(3)).isfinite().all()


@pytest.mark.parametrize("method", METHODS)
def test_state_goes_on_in_a_fresh_instance(method):
    def run(aggregator, seeds):
        return [vector(aggregator, matrix(4, 6, seed), losses(4, seed), seed) for seed in seeds]

    aggregator = build(method, 4)
    first = run(aggregator, range(3))
    saved = {name: value.clone() for name, value in aggregator.state_dict().items()}
    expected = run(aggregator, range(3, 6))
    fresh = build(method, 4)
    fresh.load_state_dict(saved)
    found = run(fresh, range(3, 6))
    assert all(map(torch.equal, found, expected))
    if aggregator.keeps_task_state:
        assert saved, "a method that keeps state must save it"
        assert not all(map(torch.equal, run(build(method, 4), range(3, 6)), expected)), first


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("gradvac", "torchjd")])
def test_the_state_of_another_method_is_refused(method):
    aggregator, other = build(method, 4), build("gradvac", 4)
    with pytest.raises(UsageError, match=r"state must have the entries .*found \['target'\]"):
        aggregator.load_state_dict(other.state_dict())


@pytest.mark.parametrize("method", METHODS)
def test_the_state_for_other_tasks_is_refused(method):
    aggregator, smaller = build(method, 4), build(method, 3)
    vector(smaller, matrix(3, 5), losses(3))
    state = smaller.state_dict()
    if not any(value.shape[:1] == (3,) for value in state.values()):
        pytest.skip("keeps no state for each task")
    with pytest.raises(UsageError, match="the state does not fit num_tasks = 4"):
        aggregator.load_state_dict(state)


ROW = st.sampled_from(["normal", "zero", "copy", "opposite", "huge", "not finite"])


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(kinds=st.lists(ROW, min_size=4, max_size=4), seed=st.integers(0, 1000))
def test_any_mixture_of_gradients(method, kinds, seed):
    gradients = matrix(4, 5, seed)
    for index, kind in enumerate(kinds):
        original = gradients[index]
        change = {
            "normal": original,
            "zero": 0 * original,
            "copy": gradients[index - 1].clone(),
            "opposite": -gradients[index - 1],
            "huge": 1e9 * original,
            "not finite": torch.full_like(original, torch.nan),
        }
        gradients[index] = change[kind]
    aggregator = fresh(method)
    for _ in range(2):
        direction = aggregator(gradients, losses(4, seed))
        assert direction.vector.isfinite().all()
        assert direction.metrics["masked_tasks"] == (~gradients.isfinite().all(1)).sum()
