"""Names the class that a number that is not finite came from, as far as what is known says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from mtrl.errors import name_of

LARGE = 100.0  # a parameter of a network that learns stays far below; one that diverges passes it
TO_DIVERGE = "try a smaller learning rate, agent.max_gradient_norm, or on_divergence=skip"


def cause(agent: Any, sides: Sequence[str], in_gradients: bool) -> str:
    """Say what made the first number of an update that was not finite, and what to do.

    Args:
        agent: after that update, and maybe some more.
        sides: of which networks: actor, critic.
        in_gradients: whether a loss or a gradient was not finite; else they were, and the direction was not.
    """
    learners = [found for side in dict.fromkeys(sides) if (found := getattr(agent, side, None)) is not None]
    if not in_gradients:
        names = dict.fromkeys(name_of(getattr(learner, "aggregator", agent)) for learner in learners)
        return (
            f"losses and gradients were finite, so {' and '.join(names) or name_of(agent)} made it: mend the "
            "aggregator, mtrl.testing.check_aggregator shows how it fails"
        )
    modules = [getattr(learner, "network", None) for learner in learners]
    networks = [module for module in modules if isinstance(module, nn.Module)]
    parameters = [value.detach() for network in networks for value in network.parameters() if value.numel()]
    largest = max((float(value.abs().max()) for value in parameters), default=LARGE)
    if largest < LARGE:  # false for NaN
        names = dict.fromkeys(getattr(network, "made_by", "") or name_of(network) for network in networks)
        return (
            f"the parameters are still small (at most {largest:.3g}), which speaks against divergence: look "
            f"at {' and '.join(names)}, for a division by 0 or a logarithm, and at the size of the rewards; "
            f"or {TO_DIVERGE}"
        )
    return TO_DIVERGE
