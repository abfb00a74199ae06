"""Implements FiLM, a shared network whose features each task scales and shifts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mtrl.agents.networks.layers import Layers, Sizes, require_widths
from mtrl.agents.networks.shared import beside
from mtrl.gradients.flat_module import PerTask
from mtrl.validation import require_flag


class FiLM(nn.Module):
    """Feature-wise linear modulation (Perez et al., AAAI 2018, equation 2): h = ReLU(γ_k ∘ (W x + b) + β_k).

    γ and β belong to the task, a pair for each layer; they start at 1 and 0, so all tasks start with the same
    network. With ``layer_norm`` they come after the norm, as in the paper's residual blocks.

    Deviation: γ and β are learned for each task directly, where the paper computes them from a question; a
    one-hot input through a linear layer would be the same function. The paper's layers are convolutions.

    Args:
        sizes: those of inputs and outputs.
        layers: makes the layers.
        hidden: widths of the hidden layers.
        one_hot: also tell the task by a one-hot beside the inputs; without it γ and β alone tell it.
    """

    def __init__(self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int], one_hot: bool = False) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        require_flag("one_hot", one_hot)
        self.one_hot = one_hot
        pairs = pairwise((sizes.inputs + (sizes.num_tasks if one_hot else 0), *hidden))
        # Without its ReLU, which comes after the modulation.
        self.layers = nn.ModuleList(nn.Sequential(*layers.hidden(*pair)[:-1]) for pair in pairs)
        self.films = nn.ModuleList(
            PerTask(Modulation(width, layers.device) for _ in sizes.task_names) for width in hidden
        )
        self.head = layers.linear(hidden[-1], sizes.outputs)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for one task's one-hot [K] and its inputs [B, ...]."""
        features = torch.cat(inputs, dim=-1)
        if self.one_hot:
            features = beside(features, task)
        for layer, film in zip(self.layers, self.films, strict=True):
            features = film(layer(features)).relu()
        return self.head(features)


class Modulation(nn.Module):
    """Scales and shifts features: γ ∘ x + β."""

    def __init__(self, width: int, device: torch.device) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width, device=device))
        self.shift = nn.Parameter(torch.zeros(width, device=device))

    def forward(self, features: Tensor) -> Tensor:
        """Modulate ``features`` [B, width]."""
        return self.scale * features + self.shift
