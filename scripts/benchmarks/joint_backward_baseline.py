"""Updates as the papers' code does: a backward pass over the joint batch for each task."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from mtrl.agents.learner import Learner
from mtrl.agents.sac import SAC
from mtrl.aggregators import Aggregator
from mtrl.aggregators.cagrad import CAGrad
from mtrl.errors import require
from mtrl.gradients.per_task import TaskGradients, TaskLoss
from mtrl.types import Direction

METHODS = ("cagrad", "pcgrad")


def joint_backward_aggregator(method: str, num_tasks: int) -> Aggregator:
    """Build a method as its authors run it: CAGrad by 20 steps of descent, PCGrad on whole gradients."""
    require(method in METHODS, f"--published must be of {', '.join(METHODS)}, found {method}")
    return CAGrad(num_tasks, solver="sgd") if method == "cagrad" else ParameterSpacePCGrad(num_tasks)


def use_joint_backward(agent: SAC, actor_aggregator: Aggregator, critic_aggregator: Aggregator) -> SAC:
    """Give ``agent`` these aggregators, and K backward passes for the critics and K for the actor."""
    agent.actor = JointBackwardLearner(agent.actor.network, actor_aggregator, agent.actor.options)
    agent.critic = JointBackwardLearner(agent.critic.network, critic_aggregator, agent.critic.options)
    return agent


class JointBackwardLearner(Learner):
    """Runs one forward pass over the joint batch, then a backward pass through all of it for each task."""

    def gradients(self, task_loss: TaskLoss, data: Any, *, by_layers: bool = False) -> TaskGradients:
        shared, own = self.network.shared, self.network.own
        with torch.enable_grad():
            losses, metrics = vmap(task_loss, in_dims=(None, 0, 0))(shared, own, data)
            gradients = [torch.autograd.grad(loss, shared, retain_graph=True)[0] for loss in losses]
            own_gradient = torch.zeros_like(own)
            if own.numel():
                own_gradient = torch.autograd.grad(losses.sum(), own)[0]
        metrics = {name: value.detach() for name, value in metrics.items()}
        return TaskGradients(torch.stack(gradients), own_gradient, losses.detach(), metrics)


class ParameterSpacePCGrad(Aggregator):
    """PCGrad with every projection done on vectors [P], the order drawn anew for each task."""

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        projected = gradients.clone()  # [K, P]
        squares = gradients.square().sum(1)  # [K]
        for task in range(self.num_tasks):
            for other in torch.randperm(self.num_tasks).tolist():
                if other != task:
                    inner = projected[task] @ gradients[other]
                    projected[task] -= inner.clamp(max=0) / squares[other] * gradients[other]
        return Direction(projected.mean(0), None, {})
