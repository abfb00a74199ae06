"""A mixture of encoders that a description of the task chooses from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from agents.networks.layers import SQRT2, Layers, Sizes, require_count, require_widths
from agents.networks.shared import beside
from mtrl.errors import require

SHIPPED = files("agents").joinpath("descriptions")


class CARE(nn.Module):
    """Contextual attention-based representation (Sodhani et al., ICML 2021).

    A context network turns the fixed vector of the task's description into a context; a softmax of it
    weighs the outputs of ``encoders`` encoders of the observation; their mixture and the context enter the
    policy, or, beside the action, the critic. The authors' MT10 runs used 4 encoders of two layers of 50.

    Deviations: actor and critics have encoders of their own, where the authors' code shares the critic's
    with the actor; the descriptions are our own sentences, embedded by WordLlama instead of RoBERTa.

    Args:
        sizes: of inputs and outputs.
        layers: makes the layers.
        hidden: widths of the policy's, or the critic's, layers.
        encoders: how many.
        width: of encoders and context.
        descriptions: a folder that ``scripts/embed_descriptions.py`` has filled; ``None`` for ours.
    """

    descriptions: Tensor

    def __init__(
        self,
        sizes: Sizes,
        layers: Layers,
        *,
        hidden: Sequence[int],
        encoders: int,
        width: int,
        descriptions: str | None = None,
    ) -> None:
        super().__init__()
        require_widths("hidden", hidden)
        require_count("encoders", encoders)
        require_count("width", width)
        vectors = description_vectors(sizes.task_names, descriptions).to(layers.device)
        self.register_buffer("descriptions", vectors)  # [K, D]
        self.context = layers.mlp(vectors.shape[1], (width,), width)
        self.attention = layers.linear(width, encoders)
        self.encode = layers.stack(encoders, sizes.obs, width, gain=SQRT2)
        self.norm = layers.norm(width)
        self.encode_again = layers.stack(encoders, width, width)
        self.layers = layers.mlp(2 * width + sizes.action, hidden, sizes.outputs)

    def forward(self, task: Tensor, obs: Tensor, *actions: Tensor) -> Tensor:
        """Outputs [B, outputs] for one task's one-hot [K], observations [B, O] and, to a critic, actions."""
        context = self.context(task @ self.descriptions)  # [width]
        encoded = self.encode_again(self.norm(self.encode(obs)).relu())  # [encoders, B, width]
        mixed = torch.einsum("n,nbd->bd", self.attention(context).softmax(-1), encoded)
        return self.layers(beside(torch.cat([mixed, *actions], dim=-1), context))


def description_vectors(task_names: Sequence[str], folder: str | None) -> Tensor:
    """The vectors [K, D] of the tasks' descriptions.

    Raises:
        UsageError: for a task without a description.
    """
    place: Traversable = SHIPPED if folder is None else Path(folder)
    sentences, vectors = place.joinpath("sentences.json"), place.joinpath("vectors.npy")
    for file in (sentences, vectors):
        require(file.is_file(), f"descriptions must be a folder with {file.name}, found {place}")
    known = list(json.loads(sentences.read_text()))
    missing = [name for name in task_names if name not in known]
    require(
        not missing,
        f"agent care: no description of task {', '.join(missing)}; add a sentence to a sentences.json, run "
        "scripts/embed_descriptions.py on its folder and pass that as agent.network.descriptions",
    )
    with vectors.open("rb") as stream:
        rows = np.load(stream, allow_pickle=False)
    require(
        len(rows) == len(known), f"{vectors} must have {len(known)} rows, found {len(rows)}: embed them again"
    )
    return torch.from_numpy(rows[[known.index(name) for name in task_names]])
