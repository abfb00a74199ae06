"""What every method promises, whatever it computes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtrl.config import instantiate
from mtrl.config.registry import method_config
from mtrl.errors import UsageError
from mtrl.testing.aggregator import CHECKS
from mtrl.testing.aggregator_directions import depends_on_scale, hold_for_mixture
from mtrl.testing.cases import KINDS
from tests.mtrl.aggregators.built_aggregators import (
    EXEMPT,
    METHODS,
    SCALE_DEPENDENT,
    build,
    case,
    losses,
    matrix,
    vector,
)


def test_the_table_has_the_papers_methods():
    papers = {
        "mean", "mgda", "pcgrad", "gradvac", "cagrad", "cagrad_fast", "graddrop", "imtl_g", "gradnorm",
        "nash_mtl", "uncertainty", "dynamic_weighting", "moco", "moco_pcgrad", "moco_cagrad", "cr_mgda",
        "cr_pcgrad", "cr_cagrad", "gradops", "famo", "stch", "torchjd",
        "upgrad", "dualproj", "aligned_mtl", "config", "db_mtl", "dwa", "gls", "excess_mtl", "imtl_l",
    }  # fmt: skip
    assert papers <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CHECKS)
def test_every_method_keeps_the_contract(method, name):
    if name in EXEMPT.get(method, ()):
        pytest.skip("as the method's docstring says")
    CHECKS[name](case(method))


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


@pytest.mark.parametrize("method", sorted(SCALE_DEPENDENT))
def test_the_exempt_methods_do_depend_on_scale(method):
    # Otherwise the exemption above hides nothing and should go.
    depends_on_scale(case(method))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pcgrad", "moco"])
def test_compiles_to_machine_code(method):
    torch._dynamo.reset()
    compiled = torch.compile(build(method, 3), fullgraph=True)
    assert vector(compiled, matrix(3, 5), losses(3)).isfinite().all()


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("gradvac", "torchjd")])
def test_the_state_of_another_method_is_refused(method):
    aggregator, other = build(method, 4), build("gradvac", 4)
    with pytest.raises(UsageError, match=r"state must have the entries .*found \['target'\]"):
        aggregator.load_state_dict(other.state_dict())


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(kinds=st.lists(st.sampled_from(KINDS), min_size=4, max_size=4), seed=st.integers(0, 1000))
def test_any_mixture_of_gradients(method, kinds, seed):
    hold_for_mixture(case(method), kinds, seed)
