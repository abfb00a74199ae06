import sys

import pytest
import torch

from mtrl.aggregators import TorchJD
from mtrl.config.instantiate import build
from mtrl.config.registry import method_config
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import draw

GRADIENTS = draw("random", 4).float()
ONES = torch.ones(4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MGDA", {}),
        ("IMTLG", {}),
        ("AlignedMTL", {}),
        ("ConFIG", {}),
        ("Mean", {}),
        ("Krum", {"n_byzantine": 1}),
    ],
)
def test_gives_what_torchjd_gives(name, options):
    aggregation = pytest.importorskip("torchjd.aggregation")
    expected = getattr(aggregation, name)(**options)(GRADIENTS)
    found = TorchJD(4, name=name, **options)(GRADIENTS, ONES).vector
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["MGDAWeighting", "SDMGradWeighting", "ExcessMTLWeighting"])
def test_weightings_have_weights(name):
    pytest.importorskip("torchjd")
    direction = TorchJD(4, name=name)(GRADIENTS, ONES)
    torch.testing.assert_close(direction.weights @ GRADIENTS, direction.vector)


@pytest.mark.parametrize("name", ["UPGrad", "DualProj", "AlignedMTL", "ConFIG", "CAGrad", "NashMTL"])
def test_the_configuration_builds_it_by_name(name):
    # The methods that this package leaves to TorchJD, and two whose solvers are optional there.
    aggregation = pytest.importorskip("torchjd.aggregation")
    pytest.importorskip("quadprog")
    pytest.importorskip("ecos")
    options = {"c": 0.5} if name == "CAGrad" else {}
    config = method_config("torchjd") | options | {"name": name}
    found = build("aggregator", config, num_tasks=4)(GRADIENTS, ONES).vector
    expected = getattr(aggregation, name)(**options, **({"n_tasks": 4} if name == "NashMTL" else {}))
    torch.testing.assert_close(found, expected(GRADIENTS), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("GeometricMean", {}),
        ("STCH", {"mu": 0.5, "weights": [0.1, 0.2, 0.3, 0.4]}),
        ("PBI", {"theta": 2.0, "weights": [1, 2, 3, 4]}),
    ],
)
def test_a_scalarizer_weighs_by_its_slopes(name, options):
    scalarization = pytest.importorskip("torchjd.scalarization")
    losses = torch.tensor([0.5, 1.0, 3.0, 2.0]).double().requires_grad_()
    tensors = {
        key: torch.tensor(value).double() if key == "weights" else value for key, value in options.items()
    }
    getattr(scalarization, name)(**tensors)(losses).backward()
    found = TorchJD(4, name=name, **options)(GRADIENTS.double(), losses.detach())
    torch.testing.assert_close(found.weights, losses.grad)


@pytest.mark.parametrize("name", ["UW", "IMTLL", "FAMO", "DWA"])
def test_what_a_scalarizer_learns_moves_its_weights(name):
    pytest.importorskip("torchjd.scalarization")
    method = TorchJD(4, name=name)
    falling = [ONES * (1 - 0.2 * step * torch.tensor([1.0, 0, 0, 0])) for step in range(4)]
    weights = [method(GRADIENTS, losses).weights for losses in falling]
    unequal = weights[-1] / falling[0] - weights[0]
    assert unequal.norm() > 1e-3
    assert weights[-1][1:].std() < 1e-6


@pytest.mark.parametrize("name", ["UPGrad", "AlignedMTL", "ConFIG", "Constant"])
def test_a_list_becomes_the_tensor_that_an_option_wants(name):
    aggregation = pytest.importorskip("torchjd.aggregation")
    pytest.importorskip("quadprog")
    option = "weights" if name == "Constant" else "pref_vector"
    values = [1.0, 2.0, 3.0, 4.0]
    config = method_config("torchjd") | {"name": name, option: values}
    for rows in (GRADIENTS, GRADIENTS.double()):
        found = build("aggregator", config, num_tasks=4)(rows, ONES).vector
        expected = getattr(aggregation, name)(**{option: torch.tensor(values, dtype=rows.dtype)})(rows)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match=rf"TorchJD: {option} must be K = 3 numbers, found \[1.0"):
        TorchJD(3, name=name, **{option: values})


def test_an_unknown_name_lists_the_known():
    pytest.importorskip("torchjd")
    with pytest.raises(UsageError, match=r"name must be one of .*UPGrad.*; found 'UPgrad'"):
        TorchJD(4, name="UPgrad")
    with pytest.raises(UsageError, match=r"must be one of AlignedMTL.*; found 'WeightedAggregator'"):
        TorchJD(4, name="WeightedAggregator")


def test_wrong_options_are_explained():
    pytest.importorskip("torchjd")
    with pytest.raises(UsageError, match=r"Krum could not be built with {}: .*n_byzantine"):
        TorchJD(4, name="Krum")


def test_a_missing_package_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(UsageError, match=r"torchjd must be installed; run: pip install 'torchjd\[full\]"):
        TorchJD(4, name="UPGrad")


def test_torchjd_stops_early_where_this_package_does_not():
    # The difference in MGDA, written down: Frank-Wolfe's 100 steps leave a gap.
    aggregation = pytest.importorskip("torchjd.aggregation")
    from mtrl.aggregators.mgda import mgda_weights

    gradients = draw("clusters", 10)
    gram = gradients @ gradients.T
    theirs, ours = aggregation.MGDAWeighting()(gram), mgda_weights(gram)
    unit = gram.diagonal().mean()
    assert (theirs @ gram @ theirs - ours @ gram @ ours) / unit > 1e-3


def test_torchjd_gives_up_on_tiny_gradients():
    # The difference in UPGrad, written down: below its absolute epsilon it returns the mean, conflict or not.
    pytest.importorskip("quadprog")
    gradients = draw("equiangular", 4)
    large, tiny = (TorchJD(4, name="UPGrad")(scale * gradients, ONES).vector / scale for scale in (1.0, 1e-6))
    torch.testing.assert_close(tiny, gradients.mean(0), rtol=1e-3, atol=1e-6)
    assert not torch.allclose(large, tiny, rtol=1e-2)
