"""Let parameters of one task learn from another objective than the task's loss."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.func import vmap

from mtrl.gradients.flat_module import FlatModule, unflatten


class OwnObjective(nn.Module):
    """A task's own module some of whose parameters do not learn from the task's loss."""

    def redirect(
        self, parameters: dict[str, Tensor], gradients: dict[str, Tensor], directions: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The directions in which the parameters move, all named and [K, ...].

        Args:
            parameters: of all tasks.
            gradients: of the tasks' losses.
            directions: what an aggregator left of them; to be returned where nothing is to be changed.
        """
        raise NotImplementedError


def has_own_objectives(network: FlatModule) -> bool:
    """Whether a part of ``network`` is an :class:`OwnObjective`."""
    return any(isinstance(part.module, OwnObjective) for part in network.own_parts)


def redirected(network: FlatModule, gradients: Tensor, directions: Tensor) -> Tensor:
    """Own directions [K, Q] in which each :class:`OwnObjective` has put those of its own.

    Args:
        network: with the parameters.
        gradients: of the tasks' losses, [K, Q].
        directions: what aggregation made of them, [K, Q].
    """
    for columns, shapes, module in network.own_parts:
        if not isinstance(module, OwnObjective):
            continue
        named = vmap(partial(unflatten, shapes=shapes))
        found = (named(values[:, columns]) for values in (network.own, gradients, directions))
        moved = module.redirect(*found)
        before, after = directions[:, : columns.start], directions[:, columns.stop :]
        directions = torch.cat([before, *(moved[name].flatten(1) for name in shapes), after], dim=1)
    return directions
