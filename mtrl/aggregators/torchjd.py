"""Adapts every aggregator and scalarizer of TorchJD (Quinton and Rey, 2024), by name."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators.base import Aggregator
from mtrl.aggregators.matrix import gram_matrix
from mtrl.errors import UsageError, require
from mtrl.types import Direction


class TorchJD(Aggregator):
    """Adapter to ``torchjd.aggregation`` and ``torchjd.scalarization``, for what this package lacks itself.

    Results are TorchJD's own: some of its methods sum over tasks where ours average, keep absolute epsilons,
    wait for the device, or want two independent batches and get the Gram matrix of one. State is saved only
    as far as TorchJD registers it. A masked task counts as one with a zero gradient and the others' mean
    loss. Where a method sees the Gram matrix only, it gets ours, in float64.

    A scalarizer weighs each gradient by the slope of its scalar. What it learns is learnt at each call: the
    scales of UW and IMTLL by descent, FAMO's logits from the losses of the next call, and to DWA each call is
    an epoch.

    Args:
        num_tasks: K.
        name: an ``Aggregator`` or ``Weighting`` of ``torchjd.aggregation``, such as ``"UPGrad"``, or else a
            ``Scalarizer`` of ``torchjd.scalarization``, such as ``"GeometricMean"``.
        learning_rate: of the scales that a scalarizer learns.
        options: its own arguments; K numbers for one that is a tensor, such as ``pref_vector=[1.0, 2.0]``.

    Raises:
        UsageError: if TorchJD is not installed or knows no such method.
    """

    def __init__(self, num_tasks: int, *, name: str, learning_rate: float = 0.01, **options: Any) -> None:
        super().__init__(num_tasks)
        self.learning_rate = require_number(self, "learning_rate", learning_rate, low=0)
        try:
            from torchjd import aggregation, scalarization
        except ImportError as error:
            raise UsageError(
                "TorchJD: the package torchjd must be installed; run: pip install 'torchjd[full]>=0.18,<0.19'"
            ) from error
        bases = (aggregation.Aggregator, aggregation.Weighting, scalarization.Scalarizer)
        # Of two of the same name, such as Mean, the aggregator.
        classes = {key: getattr(room, key) for room in (scalarization, aggregation) for key in room.__all__}
        usable = (key for key in sorted(classes) if issubclass(classes[key], bases))
        known = [key for key in usable if not classes[key].__module__.endswith(("_bases", "_base"))]
        require(name in known, f"TorchJD: name must be one of {', '.join(known)}; found {name!r}")
        # An aggregator knows whether its weighting wants gradients or their Gram matrix.
        short = name.removesuffix("Weighting")
        factory = classes[short if short in known else name]
        parameters = inspect.signature(factory).parameters
        count = parameters.keys() & {"n_tasks", "shape"}
        options = dict.fromkeys(count, num_tasks) | options
        # Tensors of which TorchJD does not say that they belong to the module: they follow the gradients.
        self.tensors = {
            key: self._as_tensor(key, value)
            for key, value in options.items()
            if value is not None and key in parameters and "Tensor" in str(parameters[key].annotation)
        }
        try:
            method = factory(**options | self.tensors)
        except (ImportError, TypeError, ValueError) as error:
            raise UsageError(f"TorchJD: {name} could not be built with {options}: {error}") from error
        self.method, self.reads = method, "gradients to a direction"
        self.begun = False
        if isinstance(method, scalarization.Scalarizer):
            self.method, self.reads = method.double(), "losses to a scalar"
        elif isinstance(method, aggregation.GramianWeightedAggregator):
            self.method, self.reads = method.gramian_weighting, "gram to weights"
        elif isinstance(method, aggregation.WeightedAggregator):
            self.method, self.reads = method.weighting, "gradients to weights"
        elif isinstance(method, aggregation.Weighting):
            self.reads = "gram to weights"

    def _as_tensor(self, option: str, value: Any) -> Tensor:
        try:
            tensor = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            tensor = torch.empty(0)
        require(
            tensor.shape == (self.num_tasks,),
            f"TorchJD: {option} must be K = {self.num_tasks} numbers, found {value!r}",
        )
        return tensor

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        seen = gradients
        if self.reads == "gram to weights":
            seen = gram_matrix(gradients)
        elif self.reads == "losses to a scalar":
            seen = losses.double()
        for option, value in self.tensors.items():
            setattr(self.method, option, value.to(seen))
        if self.reads == "gradients to a direction":
            return Direction(self.method(seen), None, {})
        weights = self._slopes(seen) if self.reads == "losses to a scalar" else self.method(seen)
        weights = torch.where(shares > 0, weights, 0).to(gradients.dtype)
        return Direction(weights @ gradients, weights, {})

    def _slopes(self, losses: Tensor) -> Tensor:
        """The derivatives of a scalarizer's scalar by ``losses`` [K]; what it learns takes a step."""
        method = self.method
        if hasattr(method, "step"):
            method.step()  # the end of the last epoch
        if self.begun and hasattr(method, "update"):
            method.update(losses)
        self.begun = True
        learnt = list(method.parameters())
        with torch.enable_grad():
            values = losses.detach().requires_grad_()
            sources = [values, *learnt]
            found = torch.autograd.grad(method(values), sources, allow_unused=True, materialize_grads=True)
        for parameter, slope in zip(learnt, found[1:], strict=True):
            parameter.sub_(self.learning_rate * slope)
        return found[0]
