"""Chooses which layers' gradients are kept as factors, by what the aggregator reads and what is cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mtrl.aggregators.base import Aggregator
from mtrl.gradients.layers import pairs_are_cheaper
from mtrl.gradients.taps import Use

Gradients = Literal["auto", "rows", "layers"]
MANY = 2**25  # numbers in the rows of one layer, from which memory decides


def chosen_layers(wanted: Gradients, aggregator: Aggregator, uses: Sequence[Use]) -> tuple[str, ...]:
    """Name the layers among ``uses`` whose gradients are to be kept as factors.

    A direction is one product over all samples. That is all a method needs that weighs losses; one that reads
    a Gram matrix must also form a layer's rows, or multiply all pairs of samples, which pays for wide layers.
    """
    if wanted == "rows" or aggregator.looks_at == "rows":
        return ()
    sizes = {use.place: (use.inputs.shape[-1], use.shape[-1]) for use in uses}
    if wanted == "layers" or aggregator.looks_at == "losses":
        return tuple(sizes)
    samples = {place: sum(use.inputs.shape[1] for use in uses if use.place == place) for place in sizes}
    return tuple(
        place
        for place, (wide, high) in sizes.items()
        if pairs_are_cheaper(aggregator.num_tasks * samples[place], wide, high)
        or aggregator.num_tasks * wide * high > MANY
    )
