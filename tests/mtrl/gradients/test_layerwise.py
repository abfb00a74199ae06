import pytest
import torch
from torch import nn

from mtrl.aggregators import CAGrad, Mean
from mtrl.gradients import layers as layers_module
from mtrl.gradients.choice import watched_uses
from mtrl.gradients.flat_module import FlatModule, PerTask
from mtrl.gradients.layerwise import layer_gradients, uses_of
from mtrl.gradients.per_task import per_task_gradients
from mtrl.gradients.proposals import proposed_gradients, proposed_of_layers
from mtrl.types import Proposal


class Recurrent(nn.Module):
    """Uses one layer twice, one without a bias, one of a vector, and one not at all."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.again = nn.Linear(6, 6)
        self.plain = nn.Linear(6, 3, bias=False)
        self.idle = nn.Linear(2, 2)
        self.norm = nn.LayerNorm(3)
        self.head = PerTask(nn.Linear(3, 1) for _ in range(5))

    def forward(self, x):
        features = self.first(x).tanh()
        for _ in range(2):
            features = self.again(features).tanh()
        features = features * self.again(x.mean(0).repeat(2)[:6]).tanh()
        return self.head(self.norm(self.plain(features)))


@pytest.fixture
def problem():
    torch.manual_seed(0)
    network = FlatModule(Recurrent().double(), 5)
    data = torch.randn(5, 7, 4, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64)

    def task_loss(shared, own, samples):
        x, y = samples
        error = network.apply_with(shared, own, x).squeeze(-1) - y
        return error.square().mean(), {"worst": error.abs().max()}

    return network, task_loss, data


def both(problem):
    network, task_loss, data = problem
    expected = per_task_gradients(task_loss, network.shared, network.own, data)
    return layer_gradients(task_loss, network, data, uses_of(task_loss, network, data)), expected


def test_every_use_of_a_layer_counts(problem):
    found, expected = both(problem)
    assert [use.place for use in uses_of(problem[1], problem[0], problem[2])] == [
        "first",
        "again",
        "again",
        "again",
        "plain",
    ]
    rows = expected.shared
    torch.testing.assert_close(found.shared.matrix(), rows, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(found.own, expected.own)
    torch.testing.assert_close(found.losses, expected.losses)
    torch.testing.assert_close(found.metrics, expected.metrics)
    assert found.shared.shape == rows.shape


@pytest.mark.parametrize("pairs", [True, False])
def test_the_gram_matrix_is_that_of_the_rows_in_both_ways(problem, pairs, monkeypatch):
    monkeypatch.setattr(layers_module, "pairs_are_cheaper", lambda *_: pairs)
    monkeypatch.setattr(layers_module, "BLOCK", 64)  # several blocks of rows
    found, expected = both(problem)
    torch.testing.assert_close(
        found.shared.gram(), expected.shared @ expected.shared.T, rtol=1e-10, atol=1e-13
    )


def test_what_is_not_finite_shows_in_the_bounds(problem):
    network, task_loss, data = problem
    data[0][2, 1] = torch.inf
    found, expected = both((network, task_loss, data))
    finite = torch.linalg.vector_norm(expected.shared, dim=1).isfinite()
    assert found.shared.bounds().isfinite().tolist() == finite.tolist() == [True, True, False, True, True]
    weights = torch.full((5,), 0.2, dtype=torch.float64)
    vector = found.shared.combine(weights, finite)
    kept = torch.where(finite[:, None], expected.shared, 0)
    torch.testing.assert_close(vector, weights @ kept, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("singles", [1, 3, 5])
def test_proposed_gradients_come_from_one_pass(problem, singles):
    network, task_loss, data = problem
    proposal = Proposal(torch.tensor([3, 0, 4, 2, 1]), singles)
    uses = uses_of(task_loss, network, data)
    found = proposed_of_layers(task_loss, network, data, proposal, uses)
    expected = proposed_gradients(task_loss, network.shared, network.own, data, proposal)
    torch.testing.assert_close(found.shared, expected.shared, rtol=1e-10, atol=1e-14)
    for part in ("own", "losses", "metrics"):
        torch.testing.assert_close(getattr(found, part), getattr(expected, part))
    for task, spoilt in ((3, 0), (1, min(singles, 4))):  # the first, and the last of the others
        bad = data[0].clone(), data[1]
        bad[0][task, 1] = torch.inf
        rows = proposed_of_layers(task_loss, network, bad, proposal, uses).shared
        assert (~rows.isfinite().all(1)).nonzero().flatten().tolist() == [spoilt]


def test_layers_compile_into_the_graph_of_the_gradients(problem):
    network, task_loss, data = problem
    aggregator = CAGrad(5)

    @torch.no_grad()
    def direction(data):
        found = layer_gradients(task_loss, network, data, uses_of(task_loss, network, data))
        return aggregator(found.shared, found.losses).vector

    torch.compiler.reset()
    graph = torch.compile(direction, fullgraph=True, dynamic=False, backend="aot_eager")
    torch.testing.assert_close(graph(data), direction(data), rtol=1e-8, atol=1e-12)


def test_only_wide_layers_are_kept_as_factors_for_a_gram_matrix():
    network = FlatModule(nn.Sequential(nn.Linear(4, 300), nn.Linear(300, 300), nn.Linear(300, 1)), 2)

    def task_loss(shared, own, x):
        return network.apply_with(shared, own, x).mean(), {}

    uses = uses_of(task_loss, network, torch.randn(2, 8, 4))
    assert [use.place for use in watched_uses("auto", CAGrad(2), uses)] == ["1"]
    assert watched_uses("auto", Mean(2), uses) == watched_uses("layers", CAGrad(2), uses) == uses
