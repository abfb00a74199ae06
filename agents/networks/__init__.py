"""Networks, each written for the rows of one task; :class:`mtrl.flat.FlatModule` adds the others."""

from agents.networks.care import CARE
from agents.networks.layers import Build, Layers, Sizes, Twin
from agents.networks.per_task import IndependentMLP, MultiHead
from agents.networks.shared import EmbeddingMLP, OneHotMLP, UnconditionedMLP
from agents.networks.soft_modular import SoftModular

__all__ = [
    "CARE",
    "Build",
    "EmbeddingMLP",
    "IndependentMLP",
    "Layers",
    "MultiHead",
    "OneHotMLP",
    "Sizes",
    "SoftModular",
    "Twin",
    "UnconditionedMLP",
]
