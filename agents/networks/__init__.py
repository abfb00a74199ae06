"""Networks, each written for the rows of one task; :class:`mtrl.flat.FlatModule` adds the others."""

from agents.networks.bronet import BroNet
from agents.networks.care import CARE
from agents.networks.film import FiLM
from agents.networks.layers import Build, Layers, Sizes, Twin
from agents.networks.moore import MOORE
from agents.networks.paco import PaCo
from agents.networks.per_task import IndependentMLP, MultiHead
from agents.networks.shared import EmbeddingMLP, OneHotMLP, UnconditionedMLP
from agents.networks.soft_modular import SoftModular

__all__ = [
    "CARE",
    "MOORE",
    "BroNet",
    "Build",
    "EmbeddingMLP",
    "FiLM",
    "IndependentMLP",
    "Layers",
    "MultiHead",
    "OneHotMLP",
    "PaCo",
    "Sizes",
    "SoftModular",
    "Twin",
    "UnconditionedMLP",
]
