import copy

import pytest
import torch

from mtrl.agents.optimizer import AdamW, load_optimizer_state
from mtrl.errors import UsageError


def stepped(rate=0.1):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter], lr=rate, fused=True)
    parameter.grad = torch.arange(3.0)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("compiled", [False, True])
def test_its_steps_are_those_of_pytorch(compiled):
    generator = torch.Generator().manual_seed(0)

    def normal():
        return [torch.randn(size, generator=generator) for size in (5, 3)]

    start = normal()
    ours, theirs = ([torch.nn.Parameter(value.clone()) for value in start] for _ in range(2))
    optimizer = AdamW(ours, 0.1, 0.2)
    reference = torch.optim.AdamW(theirs, lr=0.1, weight_decay=0.2)
    move = torch.compile(optimizer.move, backend="eager", fullgraph=True) if compiled else optimizer.move
    for _ in range(4):
        gradients = normal()
        with torch.no_grad():
            move(gradients)
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        reference.step()
    torch.testing.assert_close(ours, theirs)
    for parameter, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(optimizer.state[parameter], reference.state[other])


def test_moments_are_taken_over_and_options_are_not():
    saved = stepped().state_dict()
    optimizer = stepped(rate=0.3)
    optimizer.step()
    load_optimizer_state(optimizer, copy.deepcopy(saved))
    (group,) = optimizer.param_groups
    assert group["lr"] == 0.3
    for name, value in saved["state"][0].items():
        assert torch.equal(optimizer.state[group["params"][0]][name], value)


def test_the_state_before_the_first_step_is_empty():
    fresh = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    optimizer = stepped()
    load_optimizer_state(optimizer, fresh.state_dict())
    assert optimizer.state_dict()["state"] == {}


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("exp_avg", torch.ones(4), r"exp_avg \[4\]"),
        ("exp_avg", "moments", r"found exp_avg_sq \[3\], step \[\]"),
        ("step", torch.ones(3), r"step \[3\]"),
        ("other", torch.ones(3), "found exp_avg"),
        (None, torch.ones(3), "no parameter 7"),
    ],
)
def test_moments_of_another_parameter_are_refused(place, value, words):
    saved = copy.deepcopy(stepped().state_dict())
    if place is None:
        saved["state"][7] = saved["state"].pop(0)
    else:
        saved["state"][0][place] = value
    with pytest.raises(UsageError, match=words):
        load_optimizer_state(stepped(), saved)
