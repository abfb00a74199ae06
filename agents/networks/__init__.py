"""Defines the networks, each for one task; :class:`mtrl.gradients.flat_module.FlatModule` adds the others."""

from mtrl.agents.networks.bronet import BroNet
from mtrl.agents.networks.care import CARE
from mtrl.agents.networks.film import FiLM
from mtrl.agents.networks.layers import Build, Layers, Sizes
from mtrl.agents.networks.moore import MOORE
from mtrl.agents.networks.paco import PaCo
from mtrl.agents.networks.per_task import IndependentMLP, MultiHead
from mtrl.agents.networks.shared import EmbeddingMLP, OneHotMLP, UnconditionedMLP
from mtrl.agents.networks.soft_modular import SoftModular

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
    "UnconditionedMLP",
]
