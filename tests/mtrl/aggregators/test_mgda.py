import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtrl.aggregators.mgda import mgda_weights
from tests.mtrl.aggregators.families import FAMILIES, draw
from tests.mtrl.aggregators.reference import min_norm_weights


@pytest.mark.parametrize("num", [2, 10, 50])
@pytest.mark.parametrize("family", FAMILIES)
def test_optimal_on_every_family(family, num):
    for seed in range(2):
        gradients = draw(family, num, seed)
        gram = gradients @ gradients.T
        w = mgda_weights(gram)
        kept = gram.diagonal() > 0  # a zero gradient is left out on purpose
        assert (w >= 0).all()
        assert w.sum() == pytest.approx(1, abs=1e-12)
        assert (w[~kept] == 0).all()
        gram, w = gram[kept][:, kept], w[kept]
        value, uniform = w @ gram @ w, gram.diagonal().mean()
        # Frank-Wolfe's certificate bounds the distance to the optimum from above,
        assert value - (gram @ w).min() <= 1e-6 * uniform
        # and an independent solver does no better.
        reference = torch.from_numpy(min_norm_weights(gram.numpy()))
        assert value - reference @ gram @ reference <= 1e-6 * uniform


@pytest.mark.parametrize("family", FAMILIES)
def test_descends_on_every_task(family):
    gradients = draw(family, 10)
    w = mgda_weights(gradients @ gradients.T)
    direction, kept = w @ gradients, gradients.square().sum(1) > 0
    scale = gradients.square().sum(1).mean()
    assert (gradients[kept] @ direction).min() >= direction.square().sum() - 1e-6 * scale
    support = w > 1e-4
    equal = torch.full_like(w[support], float(direction.square().sum()))
    torch.testing.assert_close(gradients[support] @ direction, equal, rtol=1e-4, atol=1e-6 * float(scale))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(first=st.floats(0.01, 100), second=st.floats(0.01, 100), cosine=st.floats(-0.999, 0.999))
def test_two_tasks_have_a_closed_form(first, second, cosine):
    product = cosine * first * second
    gram = torch.tensor([[first**2, product], [product, second**2]], dtype=torch.float64)
    expected = np.clip((second**2 - product) / (first**2 + second**2 - 2 * product), 0, 1)
    value = mgda_weights(gram)
    best = torch.tensor([expected, 1 - expected], dtype=torch.float64)
    assert value @ gram @ value - best @ gram @ best <= 1e-9 * gram.diagonal().mean()
    assert value[0] == pytest.approx(expected, abs=1e-4)


def test_float32_gradients_lose_no_more_than_their_gram():
    gradients = draw("near_parallel", 10)
    exact = mgda_weights(gradients @ gradients.T)
    single = gradients.float().double()
    rounded = mgda_weights(single @ single.T)
    torch.testing.assert_close(exact @ gradients, rounded @ single, rtol=1e-4, atol=1e-5)


def test_only_zero_gradients():
    assert torch.equal(mgda_weights(torch.zeros(4, 4).double()), torch.full((4,), 0.25).double())
