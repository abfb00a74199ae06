import pytest
import torch

from mtrl.agents.distributions import LOG_STD_MAX, LOG_STD_MIN, TanhNormal


def log_std_of(outputs, log_std):
    """The limits, in another writing than the policy's."""
    raw = outputs.chunk(2, -1)[1]
    if log_std == "clip":
        return raw.clamp(LOG_STD_MIN, LOG_STD_MAX)
    return (LOG_STD_MAX + LOG_STD_MIN) / 2 + (LOG_STD_MAX - LOG_STD_MIN) / 2 * raw.tanh()


@pytest.mark.parametrize("log_std", ["clip", "tanh"])
def test_log_density_agrees_with_torch_distributions(log_std):
    # Small, so that the inverse of tanh in the reference stays exact.
    outputs, noise = 0.3 * torch.randn(2, 6, 4, dtype=torch.float64)
    if log_std == "tanh":
        outputs[:, 2:] += 0.7  # away from a spread so small that the reference loses digits
    noise = noise[:, :2]
    action, log_prob = TanhNormal(log_std).sample(outputs, noise)
    mean, std = outputs.chunk(2, -1)[0], log_std_of(outputs, log_std).exp()
    base = torch.distributions.Normal(mean, std)
    expected = torch.distributions.TransformedDistribution(base, [torch.distributions.TanhTransform()])
    torch.testing.assert_close(log_prob, expected.log_prob(action).sum(-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("log_std", ["clip", "tanh"])
def test_extreme_outputs_stay_finite(log_std):
    outputs = torch.tensor([[1e4, -1e4, 1e4, -1e4]])
    action, log_prob = TanhNormal(log_std).sample(outputs, torch.ones(1, 2))
    assert action.abs().le(1).all()
    assert log_prob.isfinite().all()
    assert torch.equal(TanhNormal(log_std).mode(outputs), torch.tensor([[1.0, -1.0]]))
