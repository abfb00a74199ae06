"""Gradients kept as the factors of layers are the gradients kept as rows, for every agent and method."""

import pytest
import torch
from torch.utils._pytree import tree_map

from mtrl.aggregators import GramAggregator
from mtrl.errors import UsageError
from mtrl.gradients.layers import LayerGradients
from tests.agents.built_agents import AGENTS, build
from tests.conftest import random_batch
from tests.mtrl.aggregators.built_aggregators import METHODS

BY_ROWS = [
    *("cagrad_fast", "db_mtl", "excess_mtl", "graddrop", "m_config", "moco", "moco_cagrad"),
    *("moco_pcgrad", "torchjd"),
]
BY_LAYERS = [method for method in METHODS if method not in BY_ROWS]


@pytest.fixture
def doubles():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@torch.no_grad()
def aggregated(agent, method, spec, way, batch, dtype=None):
    built = build(agent, spec, method)
    built.choose_gradients(way)
    if dtype is not None:
        built.accelerate(None, dtype, None)
    torch.manual_seed(0)
    data = built.task_batch(batch)
    sides = {"critic": built.critic, "actor": built.actor}
    found = {"critic": built.critic_gradients(data), "actor": built.actor_gradients(data)}
    torch.manual_seed(0)
    return {side: learner.aggregate(found[side]) for side, learner in sides.items()}


def batch_of(spec):
    return tree_map(lambda x: x.double() if x.is_floating_point() else x, random_batch(spec, 8))


def distance(found, expected):
    return torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected).clamp(min=1e-30)


@pytest.mark.parametrize(
    ("agent", "method"),
    [(agent, method) for agent in AGENTS for method in ("mean", "cagrad")]
    + [("sac", method) for method in BY_LAYERS if method not in ("mean", "cagrad")],
)
def test_layers_give_the_direction_the_metrics_and_the_rows_of_rows(spec, agent, method, doubles):
    batch = batch_of(spec)
    rows, layers = (aggregated(agent, method, spec, way, batch) for way in ("rows", "layers"))
    for side, expected in rows.items():
        found = layers[side]
        if isinstance(found.gradients, LayerGradients):
            assert distance(found.gradients.matrix(), expected.gradients) < 1e-13
            assert (
                distance(found.gradients.norms(), torch.linalg.vector_norm(expected.gradients, dim=1)) < 1e-13
            )
        # A solver at its last digits: that of CAGrad amplifies rounding by the condition of its problem.
        assert distance(found.shared, expected.shared) < 1e-11
        torch.testing.assert_close(found.own, expected.own)
        metrics, wanted = (one.metrics(side, diagnose=True) for one in (found, expected))
        torch.testing.assert_close(metrics, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("agent", [name for name in AGENTS if name not in ("paco", "single_task")])
def test_every_network_with_linear_layers_is_watched(spec, agent):
    found = aggregated(agent, "mean", spec, "auto", random_batch(spec, 8))
    assert isinstance(found["actor"].gradients, LayerGradients)


@pytest.mark.parametrize("agent", ["paco", "single_task"])
def test_a_network_without_such_layers_keeps_rows(spec, agent):
    found = aggregated(agent, "mean", spec, "layers", random_batch(spec, 8))
    assert isinstance(found["actor"].gradients, torch.Tensor)


@pytest.mark.parametrize("method", ["mean", "cagrad", "gradnorm"])
def test_single_precision_agrees_to_its_digits(spec, method):
    rows, layers = (aggregated("sac", method, spec, way, random_batch(spec, 8)) for way in ("rows", "layers"))
    for side in rows:
        assert distance(layers[side].shared, rows[side].shared) < 1e-5


def test_lower_precision_gives_float32_close_to_the_rows(spec):
    rows, layers = (
        aggregated("brc", "mean", spec, way, random_batch(spec, 8), torch.bfloat16)
        for way in ("rows", "layers")
    )
    for side in rows:
        assert layers[side].shared.dtype == torch.float32
        assert distance(layers[side].shared, rows[side].shared) < 0.05


@pytest.mark.parametrize("method", ["mean", "cagrad", "gradnorm"])
@pytest.mark.parametrize("bad", ["reward", "obs"])
def test_a_task_that_is_not_finite_does_not_touch_the_others(spec, method, bad):
    batch = random_batch(spec, 8)
    getattr(batch, bad)[1, 3] = torch.inf
    rows, layers = (aggregated("sac", method, spec, way, batch) for way in ("rows", "layers"))
    for side, expected in rows.items():
        found = layers[side]
        assert found.nonfinite.tolist() == expected.nonfinite.tolist()
        assert found.shared.isfinite().all()
        assert distance(found.shared, expected.shared) < 1e-5
    assert layers["critic"].nonfinite.tolist() == [False, True, False]


@pytest.mark.parametrize("method", BY_ROWS)
def test_layers_are_refused_where_rows_are_read(spec, method):
    built = build("sac", spec, method)
    name = type(built.actor.aggregator).__name__
    with pytest.raises(UsageError, match=f"gradients=layers keeps no rows, but {name} reads them"):
        built.choose_gradients("layers")
    assert built.describe_gradients() == f"gradients of actor and critics: rows, since {name} reads them"
    found = aggregated("sac", method, spec, "auto", random_batch(spec, 8))
    assert isinstance(found["critic"].gradients, torch.Tensor)


def test_a_method_of_ones_own_that_reads_rows_gets_them(spec):
    class OfColumns(GramAggregator):
        @staticmethod
        def gram(gradients):
            return gradients[:, :5].double() @ gradients[:, :5].T.double()

        def weights(self, gram, losses, shares):
            return shares

    assert OfColumns(3).looks_at == "rows"


def test_each_side_says_how_its_gradients_are_kept(spec):
    built = build("sac", spec, "cagrad")
    assert built.describe_gradients().endswith("layers where these are wide, else rows")
    built.accelerate(None, None, 2)
    assert "task_chunk" in built.describe_gradients()
    with pytest.raises(UsageError, match="task_chunk"):
        built.choose_gradients("layers")
    assert build("sac", spec, "mean").describe_gradients() == "gradients of actor and critics: layers"
