"""Implements networks of which each task owns a part, or all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtrl.agents.networks.layers import Layers, Sizes, require_widths
from mtrl.agents.networks.rotation import RotatedHead
from mtrl.gradients.flat_module import PerTask


class MultiHead(nn.Module):
    """A trunk that all tasks share, and a linear head for each task, which tells them apart.

    Args:
        sizes: of inputs and outputs.
        layers: makes the layers.
        hidden: widths of the hidden layers.
        rotation: number of the trunk's features that each task turns in front of its head, see
            :class:`~mtrl.agents.networks.rotation.RotatedHead`; None for plain heads.
    """

    def __init__(
        self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int], rotation: int | None = None
    ) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        self.trunk = layers.trunk(sizes.inputs, hidden)
        heads = (layers.linear(hidden[-1], sizes.outputs) for _ in sizes.task_names)
        self.head = PerTask(head if rotation is None else RotatedHead(head, rotation) for head in heads)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for inputs [B, ...]."""
        return self.head(self.trunk(torch.cat(inputs, dim=-1)))


class IndependentMLP(nn.Module):
    """A separate network for each task; nothing is shared."""

    def __init__(self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int]) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        self.layers = PerTask(layers.mlp(sizes.inputs, hidden, sizes.outputs) for _ in sizes.task_names)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for inputs [B, ...]."""
        return self.layers(torch.cat(inputs, dim=-1))
