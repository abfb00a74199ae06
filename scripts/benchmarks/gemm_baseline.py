"""Runs the matrix products of one update and nothing else, a lower bound of its time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from mtrl.agents.sac import SAC
from mtrl.gradients.flat_module import FlatModule


@dataclass(frozen=True)
class Layer:
    """What one linear layer of the whole batch reads and writes."""

    weight: Tensor  # [out, in]
    inputs: Tensor  # [K, B, in]
    outputs: Tensor  # [K, B, out], also what comes back in a backward pass
    gradients: Tensor  # [K, out, in]
    first: bool  # the first layer's inputs need no gradient

    def forward(self) -> None:
        torch.matmul(self.inputs.flatten(0, 1), self.weight.T, out=self.outputs.flatten(0, 1))

    def backward_inputs(self) -> None:
        torch.matmul(self.outputs.flatten(0, 1), self.weight, out=self.inputs.flatten(0, 1))

    def backward_weights(self) -> None:
        torch.bmm(self.outputs.mT, self.inputs, out=self.gradients)


def update_products(agent: SAC, batch_size: int) -> tuple[Callable[[], None], float] | None:
    """Prepare the products of one update and count their FLOP; None unless every layer is linear and shared.

    Targets are a forward pass of actor and critics; the critics' step a forward and a backward pass; the
    actor's step a forward and a backward pass of its own, and of the critics without weight gradients.
    """
    actor, critic = (_layers(network, agent, batch_size) for network in _networks(agent))
    if actor is None or critic is None:
        return None
    passes: list[Callable[[], None]] = []
    for forward in (actor, critic, critic, actor, critic):
        passes += [layer.forward for layer in forward]
    for trained in (critic, actor):
        passes += [layer.backward_weights for layer in trained]
        passes += [layer.backward_inputs for layer in trained if not layer.first]
    passes += [layer.backward_inputs for layer in critic]  # down to the action
    flop = 2.0 * agent.spec.num_tasks * batch_size * _products(actor, critic)

    def call() -> None:
        for one in passes:
            one()

    return call, flop


def _networks(agent: SAC) -> tuple[FlatModule, FlatModule]:
    return agent.actor.network, agent.critic.network


def _products(actor: list[Layer], critic: list[Layer]) -> int:
    """Count the multiplications for one sample of one task."""

    def size(layers: list[Layer], first: bool = True) -> int:
        return sum(prod(layer.weight.shape) for layer in layers if first or not layer.first)

    forward = 2 * size(actor) + 3 * size(critic)
    return forward + size(actor) + size(critic) + size(actor, False) + size(critic, False) + size(critic)


def _layers(network: FlatModule, agent: SAC, batch_size: int) -> list[Layer] | None:
    shapes = [shape for name, shape in network.shared_shapes.items() if name.endswith("weight")]
    if network.own.numel() or any(len(shape) != 2 for shape in shapes):
        return None
    tasks, device = agent.spec.num_tasks, agent.tasks.device
    layers = []
    for shape in shapes:
        out, width = shape
        layers.append(
            Layer(
                torch.randn(out, width, device=device),
                torch.randn(tasks, batch_size, width, device=device),
                torch.randn(tasks, batch_size, out, device=device),
                torch.empty(tasks, out, width, device=device),
                width == shapes[0][1],
            )
        )
    return layers
