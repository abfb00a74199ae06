"""Networks, each written for the rows of one task; :class:`mtrl.flat.FlatModule` adds the others."""

from agents.networks.layers import Build, Layers, Sizes, Twin
from agents.networks.per_task import IndependentMLP, MultiHead
from agents.networks.shared import EmbeddingMLP, OneHotMLP, UnconditionedMLP

__all__ = [
    "Build",
    "EmbeddingMLP",
    "IndependentMLP",
    "Layers",
    "MultiHead",
    "OneHotMLP",
    "Sizes",
    "Twin",
    "UnconditionedMLP",
]
