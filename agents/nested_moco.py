"""Solves for the critics inside each task's objective: nested MoCo (Fernando et al., ICLR 2023)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from mtrl.agents.hypergradient import Inverse, bilevel_loss
from mtrl.agents.losses import TaskBatch
from mtrl.agents.sac import SAC
from mtrl.errors import require
from mtrl.gradients.per_task import TaskGradients
from mtrl.types import NONFINITE, NONFINITE_DIRECTION, Metrics, Transition
from mtrl.validation import MAX_BATCH_SIZE, require_choice, require_integer

BAD, BAD_DIRECTION = f"critic/{NONFINITE}", f"critic/{NONFINITE_DIRECTION}"
OF_TASKS = ("task", "alpha", "weight")  # what a batch has once for each task, not for each sample


class NestedSAC(SAC):
    """Runs SAC with the shared actor x as the upper and the critics z_m as the lower level (Algorithm 2).

    f_m is the actor's loss of task m (to be minimised, the negative of its return), l_m its critics' loss,
    which depends on x through the next action in the targets. An update takes T critic steps (equation 14),
    then the K hypergradients h_m (equation 15) at the critics' new parameters; tracking, weights and step
    (equations 7, 10, 11) are those of the actor's aggregator, ``aggregator=moco``. Targets of the inner
    problem come from the target critics, which follow once for each update.

    Remark 2's actor-critic is ``inner_steps=1, hypergradient="none"``. The paper's runs on MT10 use three
    layers of 400 units. Deviations: the steps are Adam's; f_m and l_m of equation 15 see the same batch,
    with action noise of their own. The paper leaves the inverse open, see
    :class:`mtrl.agents.hypergradient.Inverse`.

    Args:
        inner_steps: T. The batch is cut along B into T parts of nearly equal size, one for each step, so
            that a step sees new samples; the actor's gradients use the whole batch.
        hypergradient: "none" for ∇_x f_m alone, or the solver of the second term, "neumann" or "cg". Both
            need critics that belong to one task each: ``critic_network`` an ``IndependentMLP``.
        terms: products with each critic's Hessian in the solver. With K = 10, 128 samples per task and layers
            of 256, an update on one CPU thread took 3.3 times that of "none" for one term, 6 to 7.6 for five.
        damping: δ, added to that Hessian's diagonal.
        arguments, options: as :class:`~mtrl.agents.sac.SAC`.
    """

    def __init__(
        self,
        *arguments: Any,
        inner_steps: int = 1,
        hypergradient: Literal["none", "neumann", "cg"] = "none",
        terms: int = 5,
        damping: float = 1.0,
        **options: Any,
    ) -> None:
        require_integer("inner_steps", inner_steps, 1, MAX_BATCH_SIZE)
        require_choice("hypergradient", hypergradient, ("none", "neumann", "cg"))
        self.inner_steps = inner_steps
        self.inverse = Inverse("cg" if hypergradient == "none" else hypergradient, terms, damping)
        self.implicit = hypergradient != "none"
        super().__init__(*arguments, **options)
        common = self.critic.network.shared.numel()
        require(
            not self.implicit or common == 0,
            f"hypergradient={hypergradient} needs critics that belong to one task each, since the inner "
            f"problem is solved for every task by itself; found {common} critic parameters that tasks share. "
            f"Use mtrl.agents.networks.IndependentMLP as critic_network, or hypergradient=none",
        )

    def task_batch(self, batch: Transition, next_noise: Tensor | None = None) -> TaskBatch:
        if next_noise is None:  # drawn as if each inner step's part were a batch of its own
            parts = batch.action.tensor_split(self.inner_steps, dim=1)
            next_noise = torch.cat([self.draw(part.shape) for part in parts], dim=1)
        return super().task_batch(batch, next_noise)

    def compiles_whole(self) -> bool:
        return super().compiles_whole() and not self.implicit  # which draws noise on the way

    def update_critics(self, data: TaskBatch, diagnose: bool) -> Metrics:
        metrics: Metrics = {}
        for part in self.inner_batches(data):
            before = metrics
            metrics = super().update_critics(part, diagnose)
            metrics[BAD] = metrics[BAD] | ~metrics["critic/loss"].isfinite()
            for verdict in (BAD, BAD_DIRECTION) if before else ():
                metrics[verdict] = metrics[verdict] | before[verdict]
        return metrics  # of the last step

    def inner_batches(self, data: TaskBatch) -> list[TaskBatch]:
        """Cut the batch along B, one part for each inner step."""
        samples = data.reward.shape[1]
        require(
            samples >= self.inner_steps,
            f"inner_steps must be at most the batch size per task, {samples}, found {self.inner_steps}; "
            f"every inner step needs samples of its own",
        )
        fields = (
            [value] * self.inner_steps if name in OF_TASKS else value.tensor_split(self.inner_steps, dim=1)
            for name, value in data._asdict().items()
        )
        return [TaskBatch(*part) for part in zip(*fields, strict=True)]

    def update_actor(self, data: TaskBatch, diagnose: bool) -> Metrics:
        if self.implicit:  # l_m has noise of its own
            data = data._replace(next_noise=self.draw(data.action.shape))
        return super().update_actor(data, diagnose)

    def actor_gradients(self, data: TaskBatch) -> TaskGradients:
        if not self.implicit:
            return super().actor_gradients(data)
        losses, critic = self.losses, self.critic.network

        def hyper_loss(
            shared: Tensor, own: Tensor, sample: tuple[TaskBatch, Tensor, Tensor]
        ) -> tuple[Tensor, Metrics]:
            data, critic_own, target_own = sample

            def upper(x: tuple[Tensor, Tensor], z: Tensor) -> tuple[Tensor, Metrics]:
                return losses.actor_loss(*x, (data, z))

            def lower(x: tuple[Tensor, Tensor], z: Tensor) -> Tensor:
                target = losses.td_target(*x, target_own, data)
                return losses.critic_loss(critic.shared, z, (data, target))[0]

            return bilevel_loss(upper, lower, (shared, own), critic_own, self.inverse)

        return self.actor.gradients(hyper_loss, (data, critic.own, self.target_critic.own))
