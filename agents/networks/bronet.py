"""Implements BroNet, a wide residual network with normalised layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtrl.agents.networks.layers import MAX_WIDTH, SQRT2, Layers, Sizes, require_count, require_widths
from mtrl.agents.networks.shared import beside
from mtrl.errors import require
from mtrl.gradients.flat_module import PerTask


class BroNet(nn.Module):
    """The network of BRC (Nauman et al., 2025): residual blocks behind one layer.

    A block adds to its input Linear, LayerNorm, ReLU, Linear, LayerNorm. Layers are always normalised. The
    learned vector of each task has norm 1 and stands beside the inputs. The authors' critics have 2 blocks
    of width 4096, ``hidden`` (4096, 4096, 4096), actors 1 of 256, vectors 32 entries.

    Deviation: actor and critics each learn their own vectors; the authors' actor reads those of the critics.

    Args:
        sizes: of inputs and outputs.
        layers: makes the layers.
        hidden: width of the first layer, then that of each block; all the same.
        size: size of the task's vector.
    """

    def __init__(self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int], size: int) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        require(
            len(set(hidden)) == 1,
            f"hidden must repeat one width for all blocks, found {list(hidden)}",
        )
        require_count("size", size, MAX_WIDTH)
        width = hidden[0]
        layers = replace(layers, layer_norm=True)
        self.embedding = PerTask(layers.vector(size) for _ in sizes.task_names)
        self.first = nn.Sequential(*layers.hidden(sizes.inputs + size, width))
        self.blocks = nn.ModuleList(nn.Sequential(*_block(layers, width)) for _ in hidden[1:])
        self.head = layers.linear(width, sizes.outputs, gain=SQRT2)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for inputs [B, ...]."""
        features = self.first(beside(torch.cat(inputs, dim=-1), F.normalize(self.embedding(), dim=-1)))
        for block in self.blocks:
            features = features + block(features)
        return self.head(features)


def _block(layers: Layers, width: int) -> Sequence[nn.Module]:
    return [
        *layers.hidden(width, width),
        layers.linear(width, width, gain=SQRT2),
        nn.LayerNorm(width, device=layers.device),
    ]
