"""Chooses which layers' gradients are kept as factors, by what the aggregator reads and what is cheaper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mtrl.aggregators.base import Aggregator
from mtrl.aggregators.proposing import Proposing
from mtrl.gradients.layers import pairs_are_cheaper
from mtrl.gradients.taps import Use

Gradients = Literal["auto", "rows", "layers"]
MANY = 2**25  # numbers in the rows of one layer, from which memory decides


def always_layers(wanted: Gradients, aggregator: Aggregator) -> bool:
    """Whether all layers' gradients are kept as factors, however narrow they are."""
    return wanted == "layers" or aggregator.looks_at == "losses" or isinstance(aggregator, Proposing)


def watched_uses(wanted: Gradients, aggregator: Aggregator, uses: Sequence[Use]) -> list[Use]:
    """Pick the ``uses`` of those layers whose gradients are to be kept as factors.

    A direction is one product over all samples. That is all a method needs that weighs losses, and the mean
    of many tasks is one too for a method that proposes few gradients. One that reads a Gram matrix must also
    form a layer's rows, or multiply all pairs of samples, which pays for wide layers.
    """
    tasks = aggregator.num_tasks

    def pays(use: Use) -> bool:
        wide, high = use.inputs.shape[-1], use.shape[-1]
        samples = tasks * sum(other.inputs.shape[1] for other in uses if other.place == use.place)
        return pairs_are_cheaper(samples, wide, high) or tasks * wide * high > MANY

    return [use for use in uses if always_layers(wanted, aggregator) or pays(use)]
