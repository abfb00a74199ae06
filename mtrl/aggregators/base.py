"""What every aggregator is: K gradients and K losses in, one direction out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from mtrl.errors import require
from mtrl.types import Direction


def gram_matrix(gradients: Tensor) -> Tensor:
    """Inner products of the rows of ``gradients`` [K, P] as float64 [K, K].

    Products are float32 or better even inside autocast: the sign of a small inner product decides
    what counts as a conflict. The K x K algebra that follows is cheap, hence float64.
    """
    rows = gradients if gradients.dtype == torch.float64 else gradients.float()
    kind = gradients.device.type
    autocast = torch.amp.is_autocast_available(kind)
    with torch.autocast(kind, enabled=False) if autocast else nullcontext():
        return (rows @ rows.T).double()


class Aggregator(nn.Module, ABC):
    """Turns per-task gradients into one descent direction.

    Args:
        num_tasks: K, the number of rows of every matrix this instance will see.
    """

    needs: ClassVar[Literal["losses", "gradients"]] = "gradients"

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        valid = isinstance(num_tasks, int) and not isinstance(num_tasks, bool) and num_tasks >= 1
        require(valid, f"num_tasks must be a positive integer, found {num_tasks!r}")
        self.num_tasks = num_tasks

    @abstractmethod
    def forward(self, gradients: Tensor, losses: Tensor) -> Direction:
        """Aggregate ``gradients`` [K, P] whose losses are ``losses`` [K]."""

    def check(self, gradients: Tensor, losses: Tensor) -> None:
        """Raise :class:`~mtrl.errors.UsageError` on shapes or types that no method can use."""
        name, tasks = type(self).__name__, self.num_tasks
        require(
            gradients.ndim == 2 and gradients.shape[0] == tasks,
            f"{name}: gradients must have shape [K, P] with K = num_tasks = {tasks}, found "
            f"{list(gradients.shape)}; flatten each task's gradient into one row",
        )
        require(
            gradients.is_floating_point(),
            f"{name}: gradients must be floating point, found {gradients.dtype}; convert with .float()",
        )
        require(
            losses.shape == (tasks,),
            f"{name}: losses must have shape [K] = [{tasks}], found {list(losses.shape)}",
        )


class GramAggregator(Aggregator):
    """An aggregator that decides on the Gram matrix alone; its direction is ``weights @ gradients``."""

    @abstractmethod
    def weights(self, gram: Tensor, losses: Tensor) -> Tensor:
        """Weights [K] from the float64 Gram matrix [K, K] and the losses [K]."""

    def forward(self, gradients: Tensor, losses: Tensor) -> Direction:
        self.check(gradients, losses)
        weights = self.weights(gram_matrix(gradients), losses).to(gradients.dtype)  # [K]
        return Direction(weights @ gradients, weights, {})
