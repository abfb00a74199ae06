"""Networks, written for the rows of one task: vmap adds the task dimension."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mtrl.errors import require


def mlp(
    sizes: Sequence[int], *, layer_norm: bool, device: torch.device, generator: torch.Generator | None
) -> nn.Sequential:
    """A ReLU network through ``sizes``, with orthogonal weights and zero biases.

    Gain √2 where a ReLU follows and 1 at the output, as in the code base the papers built on.

    Args:
        sizes: inputs, hidden widths, outputs.
        layer_norm: normalise before each ReLU.
        device: where the parameters are born.
        generator: source of the initial weights, on ``device``.
    """
    layers: list[nn.Module] = []
    last = len(sizes) - 2
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        linear = nn.Linear(inputs, outputs, device="meta").to_empty(device=device)
        nn.init.orthogonal_(linear.weight, 1.0 if index == last else math.sqrt(2), generator=generator)
        nn.init.zeros_(linear.bias)
        layers.append(linear)
        if index < last:
            if layer_norm:
                layers.append(nn.LayerNorm(outputs, device=device))
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class OneHotMLP(nn.Module):
    """One network for all tasks, told the task as a one-hot vector beside its inputs."""

    def __init__(
        self,
        num_tasks: int,
        inputs: int,
        outputs: int,
        *,
        hidden: Sequence[int],
        layer_norm: bool,
        device: torch.device,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        valid = len(hidden) > 0 and all(width >= 1 for width in hidden)
        require(valid, f"hidden must list at least one positive layer width, found {list(hidden)}")
        sizes = (inputs + num_tasks, *hidden, outputs)
        self.layers = mlp(sizes, layer_norm=layer_norm, device=device, generator=generator)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for one task's one-hot [K] and its inputs [B, ...]."""
        rows = inputs[0].shape[0]
        return self.layers(torch.cat([*inputs, task.expand(rows, -1)], dim=-1))


class Twin(nn.Module):
    """Two critics of the same shape and different initial weights."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, *inputs: Tensor) -> Tensor:
        """Both values, [2, B]."""
        return torch.stack([self.first(*inputs).squeeze(-1), self.second(*inputs).squeeze(-1)])
