"""Takes a few random tasks and the mean of the rest: CAGrad-Fast (Liu et al., NeurIPS 2021, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mtrl.aggregators._linalg.cosines import TINY
from mtrl.aggregators.base import Aggregator, GramAggregator, build_inner
from mtrl.aggregators.matrix import are_finite, combine
from mtrl.errors import UsageError, require
from mtrl.types import Direction, ImplicitGradients, Proposal
from mtrl.validation import require_integer


class TaskSubset(GramAggregator):
    """Runs any stateless Gram method on ``size`` random tasks and one gradient for the rest (equation 4).

    The rest's gradient is the mean of the other K − size, (K g_0 − Σ_S g_i)/(K − size), and counts for
    (K − size)/K of the mean gradient: g_0 stays that of all K tasks. ``size`` = K is the inner method.

    To gain by it, ask before the backward pass which gradients to compute::

        proposal = aggregator.propose(shared.device)
        found = proposed_gradients(task_loss, shared, own, data, proposal)  # found.shared [size + 1, P]
        direction = aggregator(found.shared, found.losses, proposal)

    Called with all K gradients it draws and mixes by itself, at the cost of the full method.
    ``Direction.weights`` is [K] either way. Scale as the inner method. What is not finite is known
    only after a proposal: one that went into the joint gradient then masks all of these.

    Args:
        inner: a Gram method without state, or what makes one when called with ``num_tasks``.
        size: how many tasks get a gradient of their own at each step.
        num_tasks: K; needed only if ``inner`` is not yet built.
    """

    def __init__(
        self,
        inner: Aggregator | Callable[..., Aggregator],
        *,
        size: int,
        num_tasks: int | None = None,
    ) -> None:
        built = build_inner("TaskSubset", inner, num_tasks)
        name = type(built).__name__
        if not isinstance(built, GramAggregator) or built.keeps_task_state:
            raise UsageError(
                f"TaskSubset: inner must be a GramAggregator without state for each task, found {name}; wrap "
                "the subset instead, as in CorrelationReduced(TaskSubset(CAGrad(10), size=4))"
            )
        super().__init__(built.num_tasks)
        self.inner = built
        self.size = require_integer("TaskSubset: size", size, 1, self.num_tasks)

    def propose(self, device: torch.device) -> Proposal:
        """Draw the tasks of the next step."""
        return Proposal(torch.rand(self.num_tasks, device=device).argsort(), self.size)

    def settle(
        self, weights: Tensor, shares: Tensor, along: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        return self.inner.settle(weights, shares, along)

    def gram(self, gradients: Tensor | ImplicitGradients) -> Tensor:
        return self.inner.gram(gradients)

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        drawn = torch.rand(self.num_tasks, device=gram.device)
        # A masked task comes last: it must not take the place of another.
        proposal = Proposal(torch.where(shares > 0, drawn, 2).argsort(), self.size)
        grouped = (proposal.mixing() > 0) * shares  # [R, K]
        group_shares = grouped.sum(1)
        # Each group averages its tasks by their shares, which leaves masked ones out.
        mixing = grouped / group_shares.clamp(min=TINY)[:, None]
        weights = self.inner.chosen(mixing @ gram @ mixing.T, mixing @ losses.double(), group_shares)
        return weights @ mixing

    @torch.no_grad()
    def forward(
        self, gradients: Tensor | ImplicitGradients, losses: Tensor, proposal: Proposal | None = None
    ) -> Direction:
        """Aggregate the ``gradients`` [R, P] of a ``proposal``, or those of all K tasks if there is none."""
        if proposal is None:
            return super().forward(gradients, losses)
        self._check_proposed(gradients, losses, min(proposal.singles + 1, self.num_tasks))
        mixing = proposal.mixing()  # [R, K]
        members = mixing > 0
        finite = are_finite(losses)
        gram = self.inner.gram(gradients)
        # a <= b says that a implies b.
        usable = are_finite(gram.diagonal()) & (members <= finite).all(1)  # [R]
        group_losses = usable * (mixing @ torch.where(finite, losses, 0).double())
        sizes = members.sum(1)  # tasks in each group
        counts = usable * sizes.double()
        shares = counts / counts.sum().clamp(min=1)
        weights = self.inner.chosen(gram, group_losses, shares)

        def along(weights: Tensor) -> Tensor:
            return combine(weights, gradients, usable)

        vector, weights = self.inner.settle(weights, shares, along)
        metrics = {"masked_tasks": (sizes - counts).sum()}
        usable_tasks = (members <= usable[:, None]).all(0)  # [K]
        return Direction(vector, (weights @ mixing).to(gradients.dtype), metrics, usable_tasks)

    def _check_proposed(self, gradients: Tensor | ImplicitGradients, losses: Tensor, count: int) -> None:
        if isinstance(gradients, Tensor) and gradients.ndim == 2:
            require(
                gradients.shape[0] == count,
                f"TaskSubset: gradients must be as many as were proposed, {count}, found "
                f"{list(gradients.shape)}; pass the same proposal to proposed_gradients",
            )
            gradients = gradients[:1].expand(self.num_tasks, -1)  # for checks of everything else
        self.check(gradients, losses)
