"""Chooses which layers' gradients are kept as factors, by what the aggregator reads and what is cheaper."""

from __future__ import annotations

from typing import Literal

from mtrl.aggregators.base import Aggregator
from mtrl.gradients.flat_module import FlatModule

Gradients = Literal["auto", "rows", "layers"]
LARGE = 2**16  # weights, from which a layer's rows cost more than the launches that they save


def chosen_layers(wanted: Gradients, network: FlatModule, aggregator: Aggregator) -> tuple[str, ...]:
    """Name the layers of ``network`` whose rows are not needed; none where the aggregator reads rows."""
    if wanted == "rows" or aggregator.looks_at == "rows":
        return ()
    if wanted == "layers" or aggregator.looks_at == "losses":
        return tuple(network.layers)
    sizes = {place: network.shared_shapes[names[0]].numel() for place, names in network.layers.items()}
    return tuple(place for place, size in sizes.items() if size >= LARGE)
