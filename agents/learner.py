"""Moves a network: its tasks' gradients pass through an aggregator to an optimiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from mtrl.agents.networks.own_objective import has_own_objectives, redirected
from mtrl.agents.optimizer import AdamW, load_optimizer_state
from mtrl.aggregators import Aggregator
from mtrl.aggregators.matrix import are_finite, gradient_norms
from mtrl.aggregators.proposing import Proposing
from mtrl.errors import require
from mtrl.gradients.aggregation import Aggregated
from mtrl.gradients.choice import Gradients, always_layers, watched_uses
from mtrl.gradients.flat_module import FlatModule
from mtrl.gradients.layerwise import layer_gradients, uses_of
from mtrl.gradients.per_task import TaskGradients, TaskLoss, own_coordinates, per_task_gradients
from mtrl.gradients.proposals import proposed_gradients, proposed_of_layers
from mtrl.gradients.taps import Use
from mtrl.types import Direction
from mtrl.validation import require_choice, require_number

Scope = Literal["shared", "all"]


@dataclass(frozen=True)
class StepOptions:
    """Says how a direction becomes a step.

    Args:
        learning_rate: Adam's.
        weight_decay: decoupled from the gradient (AdamW); 0 is Adam.
        max_gradient_norm: directions are clipped to this norm: that of the shared parameters, and each
            task's own; ``None`` for no limit.
        aggregate: "shared": the parameters of one task follow their gradient, whatever the aggregator says of
            the rest. "all": they are coordinates where the other tasks have gradient zero, and what the
            aggregator makes of the joint gradients moves both; on the scale of the mean.
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
    """Lets the actor, or the critics, learn from per-task gradients.

    Args:
        network: on the device.
        aggregator: for K tasks; moved to the network's device.
        options: of its steps.

    Attributes:
        chunk: how many tasks' gradients are computed at once; None for all.
        way: whether gradients are kept as "rows" [K, P] or, where the aggregator allows it, as the factors
            of "layers"; "auto" takes what is cheaper.
    """

    chunk: int | None = None
    way: Gradients = "auto"

    def __init__(self, network: FlatModule, aggregator: Aggregator, options: StepOptions) -> None:
        self.network = network
        self.aggregator = aggregator.to(network.shared.device)
        self.aggregator.lay_out(network.layout(own=options.aggregate == "all"))
        self.options = options
        self._known_uses: dict[Any, list[Use]] = {}
        self.has_own_objectives = has_own_objectives(network)
        self.optimizer = AdamW([network.shared, network.own], options.learning_rate, options.weight_decay)

    def gradients(self, task_loss: TaskLoss, data: Any, *, by_layers: bool = False) -> TaskGradients:
        """Compute the gradients of the tasks' losses.

        Args:
            task_loss: of the network.
            data: a pytree of tensors [K, ...].
            by_layers: whether ``task_loss`` reads the shared parameters by ``apply_with`` alone, so that the
                way of layers is open.
        """
        network, aggregator = self.network, self.aggregator
        watched = self._watched_uses(task_loss, data) if by_layers else []
        if isinstance(aggregator, Proposing) and network.shared.numel():
            proposal = aggregator.propose(network.shared.device)
            if watched and proposal.rest:
                return proposed_of_layers(task_loss, network, data, proposal, watched)
            return proposed_gradients(task_loss, network.shared, network.own, data, proposal, self.chunk)
        if watched:
            return layer_gradients(task_loss, network, data, watched)
        return per_task_gradients(task_loss, network.shared, network.own, data, self.chunk)

    def choose_gradients(self, wanted: Gradients) -> None:
        """Choose how gradients are kept; refuse layers where something needs rows."""
        reason = self._needs_rows()
        require(
            wanted != "layers" or reason is None,
            f"gradients=layers keeps no rows, but {reason}; use gradients=auto",
        )
        self.way = wanted

    def describe_gradients(self) -> str:
        """Say how gradients are kept."""
        if self.way == "rows":
            return "rows"
        reason = self._needs_rows()
        if reason is not None:
            return f"rows, since {reason}"
        always = always_layers(self.way, self.aggregator)
        return "layers" if always else "layers where these are wide, else rows"

    def _needs_rows(self) -> str | None:
        """Why there must be rows, or None."""
        if self.aggregator.looks_at == "rows":
            return f"{type(self.aggregator).__name__} reads them"
        if self.chunk is not None:
            return "task_chunk computes them one after another"
        if self.options.aggregate == "all" and self.network.own.numel() > 0:
            return "aggregate=all extends them"
        return None

    def _watched_uses(self, task_loss: TaskLoss, data: Any) -> list[Use]:
        """The uses of layers whose gradients are kept as factors, looked for once."""
        function = getattr(task_loss, "__func__", task_loss)
        shapes = (leaf.shape for leaf in tree_leaves(data))
        key = (function, self.way, self.chunk, self.network.dtype, *shapes)
        if key in self._known_uses:
            return self._known_uses[key]
        proposes = isinstance(self.aggregator, Proposing) and self.chunk is None  # few rows, made of layers
        if self.way == "rows" or (self._needs_rows() is not None and not proposes):
            return []
        uses = watched_uses(self.way, self.aggregator, uses_of(task_loss, self.network, data))
        if not torch.compiler.is_compiling():  # where what is not needed of them falls out of the graph
            self._known_uses = {key: [use._replace(inputs=use.inputs.to("meta")) for use in uses]}
        return uses

    def aggregate(self, found: TaskGradients) -> Aggregated:
        """Make one direction for the shared parameters and one for each task's own.

        A task without finite gradients stands still. ``found.own`` is used up: a copy of K Q numbers takes
        longer than the optimiser's step.
        """
        own = found.own
        aggregate: Callable[[Any, Tensor], Direction] = self.aggregator
        if found.proposal is not None:
            aggregate = partial(self.aggregator, proposal=found.proposal)
        jointly = self.options.aggregate == "all" and own.numel() > 0
        gradients = found.shared
        if jointly:
            assert isinstance(gradients, Tensor)
            gradients = torch.cat([gradients, own_coordinates(found)], dim=1)
        if not isinstance(gradients, Tensor) or gradients.shape[1]:
            direction = aggregate(gradients, found.losses)
        else:
            direction = Direction(own.new_zeros(0), None, {})
        # The method has looked at every gradient; another pass over [K, P] would cost what the step costs.
        usable = are_finite(gradient_norms(gradients)) if direction.usable is None else direction.usable
        shared, nonfinite = direction.vector, ~usable  # [P], [K]
        if own.numel():
            own_nonfinite = ~are_finite(gradient_norms(own))  # [K]
            nonfinite = nonfinite | own_nonfinite
            if jointly:
                count = found.shared.shape[1]
                shared, own = shared[:count], shared[count:].view_as(own)
            else:
                own = own.masked_fill_(own_nonfinite[:, None], 0)
            if self.has_own_objectives:
                own = redirected(self.network, found.own, own)
        return Aggregated(found, gradients, direction, shared, own, nonfinite)

    def step(self, aggregated: Aggregated) -> None:
        """Move along the directions."""
        shared, own, limit = aggregated.shared, aggregated.own, self.options.max_gradient_norm
        if limit is not None:
            shared, own = clipped(shared, limit), clipped(own, limit)
        self.optimizer.move([part for part in (shared, own) if part.numel()])

    def state_dict(self) -> dict[str, Any]:
        """Return parameters, aggregator and optimiser."""
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


def clipped(direction: Tensor, limit: float) -> Tensor:
    """Shorten directions [..., P] to norms of at most ``limit``."""
    norm = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
    return direction * (limit / norm.clamp(min=limit))
