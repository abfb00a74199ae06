"""Implements Soft Modularization: layers of modules that a routing network connects for each sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtrl.agents.networks.layers import MAX_WIDTH, Layers, Sizes, require_count, require_widths
from mtrl.gradients.flat_module import PerTask


class SoftModular(nn.Module):
    """Soft Modularization (Yang et al., "Multi-Task RL with Soft Modularization", NeurIPS 2020, section 4).

    With f(s) the state's representation, h the task's learned vector and r = R(ReLU(f ∘ h))::

        p^1 = softmax(D^1 ReLU(r)),  p^l = softmax(D^l ReLU(r ∘ U^l [p^1, ..., p^(l-1)]))
        g^1_j = ReLU(f),  g^(l+1)_i = ReLU(Σ_j p^l_ij (W^l_j g^l_j + b^l_j))

    p^l_ij is how much module j of layer l counts in the input of module i of layer l + 1, and Σ_j p^l_ij = 1.
    The last layer's modules meet in one sum, which a linear head reads.

    This is the network of the authors' code, from which the paper's results come. The paper's formulas are
    simpler: there R is absent, p^l follows from p^(l-1) alone and before its softmax, the ReLU stands inside
    the sum, and the last layer's modules are added up without weights. Deviations: the task's vector starts
    standard normal and belongs to its task, where the code has a linear layer on the one-hot. With
    ``layer_norm`` the norm stands before each ReLU and is common to a layer's modules.

    The paper's sizes, as the authors' configurations for MT10 and MT50 state them: 2 layers of 2 modules of
    width 256 ("shallow"), or 4 layers of 4 modules of width 128 ("deep"); ``hidden`` (400, 400), ``routing``
    (256, 256). It also weighted the tasks' losses by their temperatures: the agent's ``task_weights``.

    Args:
        sizes: of inputs and outputs.
        layers: makes the layers.
        hidden: widths of f; the last is also the size of h.
        num_layers: m.
        num_modules: n, in each layer.
        width: outputs of a module.
        routing: widths of R.

    Raises:
        UsageError: unless all of these are positive.
    """

    def __init__(
        self,
        sizes: Sizes,
        layers: Layers,
        *,
        hidden: Sequence[int],
        num_layers: int,
        num_modules: int,
        width: int,
        routing: Sequence[int],
    ) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        require_count("num_layers", num_layers)
        require_count("num_modules", num_modules)
        require_count("width", width, MAX_WIDTH)
        require_widths("routing", routing)
        self.num_modules = num_modules
        size, last = hidden[-1], routing[-1]
        self.state = layers.mlp(sizes.inputs, hidden[:-1], size)
        self.embedding = PerTask(layers.vector(size) for _ in sizes.task_names)
        self.router = nn.Sequential(nn.ReLU(), layers.mlp(size, routing[:-1], last))
        # The modules of the last layer have one receiver, the head, all others n.
        logits = [num_modules**2] * (num_layers - 1) + [num_modules]
        self.to_logits = nn.ModuleList(layers.linear(last, count) for count in logits)
        earlier = [num_modules**2 * layer for layer in range(1, num_layers)]
        self.from_earlier = nn.ModuleList(layers.linear(count, last) for count in earlier)
        inputs = [size] + [width] * (num_layers - 1)
        gain = math.sqrt(2)
        self.banks = nn.ModuleList(layers.bank(num_modules, count, width, gain=gain) for count in inputs)
        self.activations = nn.ModuleList(
            nn.Sequential(*layers.activation(count)) for count in (size, *[width] * num_layers)
        )
        self.head = layers.linear(width, sizes.outputs)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for inputs [B, ...]."""
        state = self.state(torch.cat(inputs, dim=-1))  # [B, D]
        features = self.activations[0](state)  # [B, D], then [n, B, D] and at last [1, B, D]
        steps = zip(self.banks, self.activations[1:], self.route(state), strict=True)
        for bank, activation, weights in steps:
            features = activation(torch.einsum("bij,jbd->ibd", weights, bank(features)))
        return self.head(features[0])

    def route(self, state: Tensor) -> list[Tensor]:
        """p for each layer, [B, n, n] and at last [B, 1, n], for f(s) [B, D]."""
        context = self.router(state * self.embedding())  # [B, R]
        routes: list[Tensor] = []
        for layer, to_logits in enumerate(self.to_logits):
            query = context
            if layer > 0:
                earlier = torch.cat([route.flatten(1) for route in routes], dim=-1)
                query = context * self.from_earlier[layer - 1](earlier)
            logits = to_logits(query.relu()).unflatten(-1, (-1, self.num_modules))
            routes.append(logits.softmax(-1))
        return routes
