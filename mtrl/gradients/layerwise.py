"""Computes the gradients of K task losses without the products that make a row for each task."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from mtrl.gradients.flat_module import FlatModule, unpacked
from mtrl.gradients.layers import Layer, LayerGradients
from mtrl.gradients.per_task import TaskGradients, TaskLoss
from mtrl.gradients.taps import Seen, Tapped
from mtrl.types import Metrics


def layer_gradients(
    task_loss: TaskLoss, network: FlatModule, data: Any, layers: tuple[str, ...]
) -> TaskGradients:
    """Compute the gradients of K losses as :func:`~mtrl.gradients.per_task.per_task_gradients` does.

    The backward pass stops at the outputs of ``layers``; what their weights' gradients are made of is kept.

    Args:
        task_loss: of the network; touches the shared parameters by nothing but its ``apply_with``.
        network: holds the parameters.
        data: any pytree of tensors [K, ...].
        layers: names of linear layers, keys of ``network.layers``.
    """
    shared, own = network.shared.detach(), network.own.detach()
    parts = unpacked(shared, network.shared_shapes)
    kept = network.rest_shapes(layers)
    rest = torch.cat([shared.new_empty(0), *(parts[name].flatten() for name in kept)])  # [R]
    uses = uses_of(task_loss, shared, rest, own, data, layers)
    taps = tuple(torch.zeros_like(use.outputs[:1].flatten()[:1]).expand(use.outputs.shape) for use in uses)

    def tapped_loss(
        taps: tuple[Tensor, ...], rest: Tensor, own: Tensor, data: Any
    ) -> tuple[Tensor, tuple[Metrics, tuple[Tensor, ...]]]:
        tapped = Tapped(shared, rest, layers, taps)
        loss, metrics = task_loss(tapped, own, data)
        return loss, (metrics, tuple(use.inputs for use in tapped.seen))

    gradient = vmap(grad_and_value(tapped_loss, argnums=(0, 1, 2), has_aux=True), in_dims=(None, None, 0, 0))
    (slopes, rest_rows, own_rows), (losses, (metrics, inputs)) = gradient(taps, rest, own, data)
    found = joined_uses(network, [use.place for use in uses], inputs, slopes)
    bounds = torch.linalg.vector_norm(rest_rows, dim=1)  # [K]
    for layer in found:
        sizes = [
            torch.linalg.vector_norm(factor.float(), dim=(1, 2)) for factor in (layer.inputs, layer.outputs)
        ]
        bounds = bounds + (sizes[0] + 1) * sizes[1]
    gradients = LayerGradients(found, rest_rows, bounds, network.shared_shapes)
    return TaskGradients(gradients, own_rows, losses, metrics)


def uses_of(
    task_loss: TaskLoss, shared: Tensor, rest: Tensor, own: Tensor, data: Any, layers: tuple[str, ...]
) -> list[Seen]:
    """Find out which layers a loss uses, and with which sizes, by its value for the first task."""
    tapped = Tapped(shared, rest, layers, None)
    task_loss(tapped, *tree_map(lambda leaf: leaf[0], (own, data)))
    return tapped.seen


def joined_uses(
    network: FlatModule, places: list[str], inputs: tuple[Tensor, ...], slopes: tuple[Tensor, ...]
) -> tuple[Layer, ...]:
    """Put the uses of each layer, [K, ..., in] and [K, ..., out], one behind the other along B."""
    factors: dict[str, tuple[list[Tensor], list[Tensor]]] = {place: ([], []) for place in places}
    for place, entered, slope in zip(places, inputs, slopes, strict=True):
        for values, value in zip(factors[place], (entered, slope), strict=True):
            values.append(value.reshape(len(value), -1, value.shape[-1]))
    return tuple(
        Layer(_joined(entered), _joined(left), network.layers[place])
        for place, (entered, left) in factors.items()
    )


def _joined(values: list[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.cat(values, dim=1)
