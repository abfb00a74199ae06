"""A network with the optimiser that moves it and the aggregator that its task gradients pass through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtrl.agents.optimizer import load_optimizer_state
from mtrl.aggregators import Aggregator
from mtrl.gradients.aggregation import Aggregated, Scope, aggregate_gradients, proposed_rows
from mtrl.gradients.flat_module import FlatModule
from mtrl.gradients.per_task import TaskGradients, TaskLoss, per_task_gradients
from mtrl.validation import require_choice, require_number


@dataclass(frozen=True)
class StepOptions:
    """How a direction becomes a step.

    Args:
        learning_rate: Adam's.
        weight_decay: decoupled from the gradient (AdamW); 0 is Adam.
        max_gradient_norm: directions are clipped to this norm: that of the shared parameters, and each
            task's own; ``None`` for no limit.
        aggregate: "shared" keeps the parameters of one task out of the aggregator, "all" takes them in.
    """

    learning_rate: float = 3e-4
    weight_decay: float = 0.0
    max_gradient_norm: float | None = None
    aggregate: Scope = "shared"

    def __post_init__(self) -> None:
        require_number("learning_rate", self.learning_rate, above=0)
        require_number("weight_decay", self.weight_decay, low=0)
        if self.max_gradient_norm is not None:
            require_number(
                "max_gradient_norm", self.max_gradient_norm, above=0, remedy="or null for no limit"
            )
        require_choice("aggregate", self.aggregate, ("shared", "all"))


class Learner:
    """The actor, or the critics, as something that learns from per-task gradients.

    Args:
        network: on the device.
        aggregator: for K tasks; moved to the network's device.
        options: of its steps.

    Attributes:
        chunk: how many tasks' gradients are computed at once; None for all.
    """

    chunk: int | None = None

    def __init__(self, network: FlatModule, aggregator: Aggregator, options: StepOptions) -> None:
        self.network = network
        self.aggregator = aggregator.to(network.shared.device)
        self.options = options
        parameters = [part for part in (network.shared, network.own) if part.numel()]
        self.optimizer = torch.optim.AdamW(
            parameters,
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
            fused=not network.shared.is_meta,  # one pass over memory; meta has no such kernel
            capturable=network.shared.is_cuda,  # its step counts stay on the device
        )

    def gradients(self, task_loss: TaskLoss, data: Any) -> TaskGradients:
        """The gradients that the aggregator asks for; ``data`` is a pytree of tensors [K, ...]."""
        network = self.network
        rows = proposed_rows(self.aggregator, network.shared)
        return per_task_gradients(task_loss, network.shared, network.own, data, rows, self.chunk)

    def aggregate(self, found: TaskGradients) -> Aggregated:
        """The direction they give."""
        aggregated = aggregate_gradients(found, self.aggregator, self.options.aggregate)
        return aggregated._replace(own=self.network.redirect(found.own, aggregated.own))

    def step(self, aggregated: Aggregated) -> None:
        """Move along the direction."""
        limit = self.options.max_gradient_norm
        self.network.shared.grad = _clipped(aggregated.shared, limit)
        self.network.own.grad = _clipped(aggregated.own, limit)
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Parameters, aggregator and optimiser."""
        return {
            "network": self.network.state_dict(),
            "aggregator": self.aggregator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self.aggregator.load_state_dict(state["aggregator"])
        load_optimizer_state(self.optimizer, state["optimizer"])


def _clipped(direction: Tensor, limit: float | None) -> Tensor:
    """Rows of ``direction`` [..., P] with a norm of at most ``limit``."""
    if limit is None:
        return direction
    norm = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
    return direction * (limit / norm.clamp(min=limit))
