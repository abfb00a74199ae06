"""Implements PaCo, which composes each task's parameters from a set that the tasks share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mtrl.agents.networks.layers import SQRT2, Layers, Sizes, require_count, require_widths
from mtrl.gradients.flat_module import PerTask


class PaCo(nn.Module):
    """Parameter-compositional network (Sun et al., NeurIPS 2022): θ_k = Φ w_k.

    Φ holds ``members`` whole networks that all tasks share; w_k belongs to task k and starts with the same
    share of every member, plus noise of a tenth of its size that tells the tasks apart. The paper has 5
    members on MT10. A task's gradient in Φ is as large as Φ, so the K gradients take ``members`` times the
    memory of a single network's.

    Deviation: actor and critics each have their own weights, where the authors' code gives a task one w_k.

    Not part of it: the paper's training scheme, which leaves exploding tasks out of the loss and starts
    their w_k anew; the aggregators here mask what is not finite.
    """

    def __init__(self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int], members: int) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        require_count("members", members)
        widths = (sizes.inputs, *hidden)
        self.layers = nn.ModuleList(layers.bank(members, *pair, gain=SQRT2) for pair in pairwise(widths))
        self.activations = nn.ModuleList(nn.Sequential(*layers.activation(width)) for width in hidden)
        self.head = layers.bank(members, hidden[-1], sizes.outputs)
        self.weights = PerTask(layers.vector(members, mean=1.0, std=0.1) for _ in sizes.task_names)
        # Members are independent, so the sum of n of them at weight 1/√n has the size of one.
        self.scale = members**-0.5

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for inputs [B, ...]."""
        weights = self.scale * self.weights()  # [members]
        features = torch.cat(inputs, dim=-1)
        for layer, activation in zip(self.layers, self.activations, strict=True):
            features = activation(layer(features, weights))
        return self.head(features, weights)
