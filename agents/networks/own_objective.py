"""Lets parameters of one task learn from another objective than the task's loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtrl.gradients.flat_module import FlatModule


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
        moved = module.redirect(
            *(_named(values[:, columns], shapes) for values in (network.own, gradients, directions))
        )
        before, after = directions[:, : columns.start], directions[:, columns.stop :]
        directions = torch.cat([before, *(moved[name].flatten(1) for name in shapes), after], dim=1)
    return directions


def _named(values: Tensor, shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """The columns of ``values`` [K, Q] as the parameters that they are, [K, ...] each."""
    parts = torch.split(values, [shape.numel() for shape in shapes.values()], dim=1)
    named = zip(shapes.items(), parts, strict=True)
    return {name: part.reshape(len(values), *shape) for (name, shape), part in named}
