"""Implements M-ConFIG, ConFIG on momenta that one task a step refreshes (Liu, Chu and Thuerey, ICLR 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._preference import preference_of, preferred
from mtrl.aggregators.base import Aggregator, mask
from mtrl.aggregators.config import config_weights
from mtrl.aggregators.matrix import gradient_norms, gram_matrix
from mtrl.errors import require
from mtrl.types import Direction, Proposal
from mtrl.validation import require_integer


class MConFIG(Aggregator):
    """M-ConFIG: ConFIG of the tasks' momenta, for which each step needs one task's gradient (Algorithm 1).

    Tasks take turns, in an order drawn at the beginning. To compute no other gradient, ask before the
    backward pass, as of :class:`~mtrl.aggregators.TaskSubset`; ``mtrl.backward`` and the learners do.

    The paper divides the direction by the root of a second moment, that of the pseudo-gradient whose momentum
    the direction is. That pseudo-gradient is what this returns: Adam with ``beta`` as its first constant,
    which every agent here uses, then takes the paper's step. The paper waits until each task has had its
    turn; here those that had one count from the beginning, and K equal gradients g give g. A masked task
    waits for its next turn.

    Args:
        num_tasks: K.
        beta: the paper's β_1; 0.9 is Adam's.
        size: how many tasks take a turn at each step.
        pref_vector: K numbers that say how much each task matters, in proportion; ``None`` for all alike.
    """

    keeps_task_state = True
    masks_itself = True
    preference: Tensor
    momenta: Tensor
    pseudo: Tensor
    counts: Tensor
    turns: Tensor
    steps: Tensor

    def __init__(
        self,
        num_tasks: int,
        *,
        beta: float = 0.9,
        size: int = 1,
        pref_vector: Sequence[float] | None = None,
    ) -> None:
        super().__init__(num_tasks)
        self.beta = require_number(self, "beta", beta, low=0)
        require(beta < 1, f"MConFIG: beta must be less than 1, found {beta}")
        self.size = require_integer("MConFIG: size", size, 1, self.num_tasks)
        self.register_buffer("preference", preference_of(self, pref_vector), persistent=False)
        self.register_buffer("momenta", torch.zeros(num_tasks, 0))  # bias-corrected, [K, P]
        self.register_buffer("pseudo", torch.zeros(1, 0))  # the pseudo-gradients' momentum, [1, P]
        self.register_buffer("counts", torch.zeros(num_tasks, dtype=torch.float64))
        # The step of each task's last turn.
        self.register_buffer("turns", torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.float64))

    def propose(self, device: torch.device) -> Proposal:
        """Say whose turn it is."""
        return Proposal(self._last_turns(device).argsort(), self.size, rest=False)

    def _last_turns(self, device: torch.device) -> Tensor:
        """Numbers [K] that are smaller for those who waited longer; among new ones chance decides."""
        return self.turns.to(device) + torch.rand_like(self.turns, device=device)

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        usable = shares > 0
        last_turns = torch.where(usable, self._last_turns(gradients.device), torch.inf)
        chosen = last_turns.argsort()[: self.size]
        return self._step(gradients[chosen], chosen, usable)

    @torch.no_grad()
    def forward(self, gradients: Tensor, losses: Tensor, proposal: Proposal | None = None) -> Direction:
        """Aggregate the ``gradients`` [size, P] of a ``proposal``, or take what is needed of all K tasks'."""
        if proposal is None:
            return super().forward(gradients, losses)
        require(
            gradients.ndim == 2 and len(gradients) == self.size,
            f"MConFIG: gradients must be as many as were proposed, {self.size}, found "
            f"{list(gradients.shape)}; pass the same proposal to proposed_gradients",
        )
        chosen = proposal.order[: self.size]
        norms = torch.zeros_like(losses, dtype=torch.float64).index_copy(0, chosen, gradient_norms(gradients))
        usable, _, _ = mask(norms, losses)
        direction = self._step(gradients, chosen, usable)
        metrics = direction.metrics | {"masked_tasks": (~usable).sum()}
        return Direction(direction.vector, None, metrics, usable)

    def _step(self, rows: Tensor, chosen: Tensor, usable: Tensor) -> Direction:
        """Refresh the momenta of the ``chosen`` [size] that are ``usable`` [K] by ``rows``, and combine."""
        if self.momenta.shape[1] == 0:
            dtype = torch.promote_types(rows.dtype, torch.float32)
            self.momenta = rows.new_zeros(self.num_tasks, rows.shape[1], dtype=dtype)
            self.pseudo = rows.new_zeros(1, rows.shape[1], dtype=dtype)
        taken = usable[chosen]
        self.steps.add_(usable.any())
        self.counts.index_add_(0, chosen, taken.double())
        # Also of one that cannot be used: if it stayed first, a task that stays so would stop all others.
        self.turns.index_copy_(0, chosen, self.steps.expand(self.size))
        # The share of the newest in a momentum with Adam's correction.
        rate = taken * (1 - self.beta) / (1 - self.beta ** self.counts[chosen].clamp(min=1))
        fresh = torch.where(taken[:, None], rows, 0).to(self.momenta.dtype)
        kept = self.momenta[chosen]
        self.momenta.index_copy_(0, chosen, kept.lerp(fresh, rate[:, None].to(kept.dtype)))

        active = (usable & (self.counts > 0)).double()
        shares = active / active.sum().clamp(min=1)
        gram = torch.where((active[:, None] * active) > 0, gram_matrix(self.momenta), 0)
        weights = config_weights(gram, shares, preferred(shares, self.preference))
        correction = 1 - self.beta ** self.steps.clamp(min=1)
        after = (weights * correction).to(self.momenta.dtype) @ self.momenta  # [P]
        vector = (after - self.beta * self.pseudo[0]) / (1 - self.beta)
        moves = usable.any()
        self.pseudo.copy_(torch.where(moves, after, self.pseudo))
        metrics = {"tracked_weight": weights.to(rows.dtype)}
        return Direction(torch.where(moves, vector, 0).to(rows.dtype), None, metrics)
