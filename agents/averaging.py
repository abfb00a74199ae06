"""Keeps a running average of an actor: it acts more evenly than what the last update left."""

from __future__ import annotations

import copy
from typing import Any

from mtrl.gradients.flat_module import FlatModule
from mtrl.validation import require_number

AVERAGED = "averaged_actor"  # its place in an agent's state


class AveragedActor:
    """Follows an actor by exponential averaging (Polyak and Juditsky, 1992, with geometric weights).

    Evaluations play what one update left, and may find a task lost that the ones before and after have
    solved; episodes of training, each played by many successive policies, show steadier success.
    The average begins with the initial weights and spans some 1 / share updates.

    Args:
        actor: to follow.
        share: of the actor that moves into the average at each update, in (0, 1].
    """

    def __init__(self, actor: FlatModule, share: float) -> None:
        self.share = require_number("actor_polyak", share, above=0, high=1, remedy="or null for no average")
        self.network = copy.deepcopy(actor)
        self._actor = actor

    def follow(self) -> None:
        """Move towards the actor."""
        for average, source in zip(self.network.parameters(), self._actor.parameters(), strict=True):
            average.lerp_(source, self.share)

    def state_dict(self) -> dict[str, Any]:
        """Return the network's."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.network.load_state_dict(state)


def acting_network(agent: dict[str, Any]) -> dict[str, Any]:
    """Pick of an agent's state that of the network that acts without noise."""
    found: dict[str, Any] = agent[AVERAGED] if AVERAGED in agent else agent["actor"]["network"]
    return found
