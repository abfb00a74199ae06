"""Chooses which layers' gradients are kept as factors, by what the aggregator reads and what is cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mtrl.aggregators.base import Aggregator
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
    sizes: dict[str, list[int]] = {}
    for use in uses:
        _, samples, wide = use.inputs.shape
        sizes.setdefault(use.place, []).append(0)
        sizes[use.place] = [
            sizes[use.place][0] + samples if sizes[use.place] else samples,
            wide,
            use.shape[-1],
        ]
    if wanted == "layers" or aggregator.looks_at == "losses":
        return tuple(sizes)
    tasks = aggregator.num_tasks
    return tuple(
        place
        for place, (samples, wide, high) in sizes.items()
        if tasks * samples * (wide + high) < wide * high or tasks * wide * high > MANY
    )
