"""Implements CARE, a mixture of encoders weighted by a sentence that describes the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mtrl.agents.descriptions import task_vectors
from mtrl.agents.networks.layers import Layers, Sizes, require_count, require_widths
from mtrl.agents.networks.shared import beside


class CARE(nn.Module):
    """Contextual attention-based representations (Sodhani et al., "Multi-Task RL with Context-based
    Representations", ICML 2021, figure 3).

    With e the vector of the task's description, k encoders E_i and the context z_c = C(e)::

        α = softmax(A(stop-gradient(z_c))),  z = Σ_i α_i E_i(s),  outputs = trunk([z, z_c, a])

    where a is a critic's action. e is fixed; its entries are brought to a mean square of one.

    Deviations: the sentences are this project's, embedded by a small static sentence model instead of RoBERTa
    (:mod:`mtrl.agents.descriptions`); actor and critics each have their own encoders and context encoders,
    where the authors' code ties them together.

    Sizes of the authors' code on MT10: 4 encoders of widths (50, 50), ``context`` (100, 50, 50, 50, 50),
    ``attention`` (50, 50), ``hidden`` (400, 400, 400).

    Args:
        sizes: of inputs and outputs.
        layers: makes the layers.
        hidden: widths of the trunk.
        encoders: k.
        encoder: widths of each E_i, the last that of its linear outputs.
        context: widths of C, the last that of its linear outputs.
        attention: hidden widths of A.
        descriptions: a file of vectors that ``scripts/embed_descriptions.py`` wrote; None for those that come
            with the package.

    Raises:
        UsageError: unless all sizes are positive and every task has a description.
    """

    described: Tensor

    def __init__(
        self,
        sizes: Sizes,
        layers: Layers,
        *,
        hidden: Sequence[int],
        encoders: int,
        encoder: Sequence[int],
        context: Sequence[int],
        attention: Sequence[int],
        descriptions: str | None = None,
    ) -> None:
        super().__init__()
        require_count("encoders", encoders)
        widths = {"hidden": hidden, "encoder": encoder, "context": context, "attention": attention}
        for name, value in widths.items():
            require_widths(name, value)
        vectors = task_vectors(sizes.task_names, descriptions).to(layers.device)  # [K, E]
        self.register_buffer("described", vectors)
        obs = sizes.inputs - sizes.actions
        self.encoders = layers.bank_mlp(encoders, obs, encoder[:-1], encoder[-1])
        self.context = layers.mlp(vectors.shape[1], context[:-1], context[-1])
        self.attention = layers.mlp(context[-1], attention, encoders)
        self.trunk = layers.mlp(encoder[-1] + context[-1] + sizes.actions, hidden, sizes.outputs)

    def forward(self, task: Tensor, *inputs: Tensor) -> Tensor:
        """Outputs [B, outputs] for one task's one-hot [K], observations [B, O] and any further inputs."""
        obs, *others = inputs
        context = self.context(task @ self.described)  # [C]
        encoding = torch.einsum("n,nbd->bd", self.attend(context), self.encoders(obs))
        return self.trunk(torch.cat([beside(encoding, context), *others], dim=-1))

    def attend(self, context: Tensor) -> Tensor:
        """α [k] for a context [C]."""
        return cast(Tensor, self.attention(context.detach()).softmax(-1))
