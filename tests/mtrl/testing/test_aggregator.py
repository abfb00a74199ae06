"""What is said of an aggregator that breaks its contract."""

import pytest
import torch

from mtrl.aggregators import Aggregator, CAGrad, GramAggregator
from mtrl.errors import UsageError
from mtrl.testing import ContractError, check_aggregator
from mtrl.types import Direction


class Shares(GramAggregator):
    """The mean, on which those below vary."""

    def weights(self, gram, losses, shares):
        return shares


class FirstTask(Shares):
    def weights(self, gram, losses, shares):
        return torch.eye(len(shares), dtype=shares.dtype)[0]


class Sum(Shares):
    def weights(self, gram, losses, shares):
        return shares * len(shares)


class Waiting(Shares):
    def weights(self, gram, losses, shares):
        return shares if gram.trace().item() >= 0 else -shares


class Inverse(Shares):
    def weights(self, gram, losses, shares):
        raw = shares / gram.diagonal().sqrt()
        return raw / raw.sum()


class OneOverK(Shares):
    def weights(self, gram, losses, shares):
        return torch.full_like(shares, 1 / len(shares))


class Forgetful(Shares):
    """Remembers outside the state."""

    steps = 0

    def weights(self, gram, losses, shares):
        self.steps += 1
        return shares * (1 if self.steps < 4 else 0.5)


class Undeclared(Shares):
    def __init__(self, num_tasks):
        super().__init__(num_tasks)
        self.register_buffer("norms", torch.ones(num_tasks))

    def weights(self, gram, losses, shares):
        self.norms.mul_(0.9).add_(0.1 * shares)
        return shares


class Wide(Aggregator):
    def aggregate(self, gradients, losses, shares):
        return Direction(shares[None].to(gradients.dtype) @ gradients, None, {})


def test_sound_ones_pass():
    check_aggregator(Shares)
    check_aggregator(CAGrad, num_tasks=3, equal_gradients=1.5)


@pytest.mark.parametrize(
    ("aggregator", "words"),
    [
        (FirstTask, "must not depend on the order of the tasks"),
        (Sum, "K equal gradients g must give 1 g"),
        (Waiting, "nothing may wait for the device"),
        (Inverse, "must be finite for gradients that are 'zero'"),
        (OneOverK, "weigh by shares, not by 1/K"),
        (Forgetful, "to the last bit: keep state in buffers"),
        (Undeclared, "set keeps_task_state = True"),
        (Wide, r"the vector must be \[P\] = \[6\], found \[1, 6\]"),
    ],
)
def test_what_is_wrong_is_said_with_the_reason(aggregator, words):
    with pytest.raises(ContractError, match=f"^{aggregator.__name__}: .*{words}"):
        check_aggregator(aggregator)


def test_an_exemption_that_is_not_needed_is_found():
    with pytest.raises(ContractError, match="take 'scale' out of exempt"):
        check_aggregator(Shares, exempt=["scale"])


def test_exemptions_have_names():
    with pytest.raises(UsageError, match="exempt must be among scale, masked, device, compile; found speed"):
        check_aggregator(Shares, exempt=["speed"])
