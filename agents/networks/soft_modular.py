"""Soft Modularization: modules of a base network, combined by a routing network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agents.networks.layers import SQRT2, Layers, Sizes, require_count, require_widths


class SoftModular(nn.Module):
    """A base network of ``depth`` layers of ``modules`` modules (Yang et al., NeurIPS 2020, section 4).

    Module i of the next layer receives Σ_j p_ij ReLU(W_j g_j), where p is a softmax over j that a routing
    network computes for each sample from the product of the embeddings of observation and task; the routing
    logits of a layer enter those of the next. After the last layer a softmax over the modules gives the
    features of a linear head, as in the authors' code.

    The paper's sizes: 2 layers of 2 modules of width 256 ("shallow"), or 4 of 4 of width 128 ("deep").

    Args:
        sizes: of inputs and outputs.
        layers: makes the layers.
        hidden: widths of the layers that embed the observation; the last is also the routing's width.
        depth: layers of modules.
        modules: in each layer.
        width: of a module's output.
    """

    def __init__(
        self, sizes: Sizes, layers: Layers, *, hidden: Sequence[int], depth: int, modules: int, width: int
    ) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        for name, value in (("depth", depth), ("modules", modules), ("width", width)):
            require_count(name, value)
        embedding = hidden[-1]
        self.embed = layers.trunk(sizes.inputs, hidden)
        self.embed_task = layers.linear(sizes.num_tasks, embedding)
        ins = [embedding] + [width] * (depth - 1)
        self.layers = nn.ModuleList(layers.stack(modules, inputs, width, gain=SQRT2) for inputs in ins)
        self.norms = nn.ModuleList(layers.norm(width) for _ in ins)
        outs = [modules**2] * (depth - 1) + [modules]
        self.logits = nn.ModuleList(layers.linear(embedding, outputs) for outputs in outs)
        self.fed_back = nn.ModuleList(layers.linear(modules**2, embedding) for _ in outs[1:])
        self.head = layers.linear(width, sizes.outputs)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for one task's one-hot [K] and its inputs [B, ...]."""
        observed = self.embed(torch.cat(inputs, dim=-1))  # [B, E]
        *between, last = self.routing(observed * self.embed_task(task))
        features = observed
        for layer, norm, shares in zip(self.layers, self.norms, [*between, None], strict=True):
            features = norm(layer(features)).relu()  # [n, B, width]
            if shares is not None:
                features = torch.einsum("bij,jbd->ibd", shares, features)
        return self.head(torch.einsum("bj,jbd->bd", last, features))

    def routing(self, embedding: Tensor) -> list[Tensor]:
        """Shares for embeddings [B, E]: [B, n, n] between two layers, whose rows sum to 1, at last [B, n]."""
        first, *following = self.logits
        logits = first(embedding.relu())
        all_logits = [logits]
        for back, layer in zip(self.fed_back, following, strict=True):
            logits = layer((back(logits) * embedding).relu())
            all_logits.append(logits)
        *between, last = all_logits
        modules = last.shape[-1]
        return [part.unflatten(-1, (modules, modules)).softmax(-1) for part in between] + [last.softmax(-1)]
