"""Adapts every aggregator of TorchJD (Quinton and Rey, 2024), by name."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from mtrl.aggregators.base import Aggregator, gram_matrix
from mtrl.errors import UsageError, require
from mtrl.types import Direction


class TorchJD(Aggregator):
    """Adapter to ``torchjd.aggregation``, for the methods that this package does not have itself.

    Results are TorchJD's own: some of its methods sum over tasks where ours average, keep absolute epsilons,
    wait for the device, or want two independent batches and get the Gram matrix of one. State is saved only
    as far as TorchJD registers it. A masked task counts as one with a zero gradient. Where a method sees the
    Gram matrix only, it gets ours, in float64.

    Args:
        num_tasks: K.
        name: an ``Aggregator`` or ``Weighting`` of ``torchjd.aggregation``, such as ``"UPGrad"``.
        options: its own arguments.

    Raises:
        UsageError: if TorchJD is not installed or knows no such method.
    """

    def __init__(self, num_tasks: int, *, name: str, **options: Any) -> None:
        super().__init__(num_tasks)
        try:
            from torchjd import aggregation
        except ImportError as error:
            raise UsageError(
                "TorchJD: the package torchjd must be installed; run: pip install 'torchjd[full]>=0.18,<0.19'"
            ) from error
        bases = (aggregation.Aggregator, aggregation.Weighting)
        classes = {key: getattr(aggregation, key) for key in sorted(aggregation.__all__)}
        usable = (key for key, kind in classes.items() if issubclass(kind, bases))
        known = [key for key in usable if not classes[key].__module__.endswith("_bases")]
        require(name in known, f"TorchJD: name must be one of {', '.join(known)}; found {name!r}")
        # An aggregator knows whether its weighting wants gradients or their Gram matrix.
        short = name.removesuffix("Weighting")
        factory = classes[short if short in known else name]
        if "n_tasks" in inspect.signature(factory).parameters:
            options = {"n_tasks": num_tasks} | options
        try:
            method = factory(**options)
        except (ImportError, TypeError, ValueError) as error:
            raise UsageError(f"TorchJD: {name} could not be built with {options}: {error}") from error
        self.method, self.reads = method, "gradients to a direction"
        if isinstance(method, aggregation.GramianWeightedAggregator):
            self.method, self.reads = method.gramian_weighting, "gram to weights"
        elif isinstance(method, aggregation.WeightedAggregator):
            self.method, self.reads = method.weighting, "gradients to weights"
        elif isinstance(method, aggregation.Weighting):
            self.reads = "gram to weights"

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        if self.reads == "gradients to a direction":
            return Direction(self.method(gradients), None, {})
        weights = self.method(gram_matrix(gradients) if self.reads == "gram to weights" else gradients)
        weights = torch.where(shares > 0, weights, 0).to(gradients.dtype)
        return Direction(weights @ gradients, weights, {})
