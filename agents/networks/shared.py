"""Implements plain networks that all tasks share, which are told the task in different ways."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtrl.agents.networks.layers import MAX_WIDTH, Layers, Sizes, require_count, require_widths
from mtrl.gradients.flat_module import PerTask
from mtrl.validation import require_flag


class OneHotMLP(nn.Module):
    """One network for all tasks, told the task as a one-hot vector beside its inputs."""

    def __init__(self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int]) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        self.layers = layers.mlp(sizes.inputs + sizes.num_tasks, hidden, sizes.outputs)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for one task's one-hot [K] and its inputs [B, ...]."""
        return self.layers(torch.cat([*inputs, task.expand(inputs[0].shape[0], -1)], dim=-1))


class UnconditionedMLP(nn.Module):
    """One network for all tasks that is not told the task."""

    def __init__(self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int]) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        self.layers = layers.mlp(sizes.inputs, hidden, sizes.outputs)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for inputs [B, ...]; ``task`` is ignored."""
        return self.layers(torch.cat(inputs, dim=-1))


class EmbeddingMLP(nn.Module):
    """One network for all tasks, told the task by a learned vector beside its inputs.

    The vectors belong to one task each.

    Args:
        sizes: of inputs and outputs.
        layers: makes the layers.
        hidden: widths of the hidden layers.
        size: size of the vectors.
        unit_norm: divide each vector by its norm.
    """

    def __init__(
        self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int], size: int, unit_norm: bool
    ) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        require_count("size", size, MAX_WIDTH)
        require_flag("unit_norm", unit_norm)
        self.unit_norm = unit_norm
        self.embedding = PerTask(layers.vector(size) for _ in sizes.task_names)
        self.layers = layers.mlp(sizes.inputs + size, hidden, sizes.outputs)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for inputs [B, ...]."""
        embedding = self.embedding()
        if self.unit_norm:
            embedding = F.normalize(embedding, dim=-1)
        return self.layers(beside(torch.cat(inputs, dim=-1), embedding))


def beside(samples: Tensor, vector: Tensor) -> Tensor:
    """Append ``vector`` [D] to each of ``samples`` [B, N]: [B, N + D]."""
    return torch.cat([samples, vector.expand(samples.shape[0], -1)], dim=-1)
