"""Computes the gradients of K task losses without the products that make a row for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from mtrl.gradients.flat_module import FlatModule, unpacked
from mtrl.gradients.layers import Layer, LayerGradients
from mtrl.gradients.per_task import TaskGradients, TaskLoss
from mtrl.gradients.taps import Tapped, Use, WatchableLayer
from mtrl.types import Metrics


def layer_gradients(
    task_loss: TaskLoss, network: FlatModule, data: Any, uses: Sequence[Use], own: Tensor | None = None
) -> TaskGradients:
    """Compute the gradients of K losses as :func:`~mtrl.gradients.per_task.per_task_gradients` does.

    The backward pass stops at the outputs of watched layers: what their weights' gradients are made of is
    kept.

    Args:
        task_loss: of the network; touches the shared parameters by nothing but its ``apply_with``.
        network: holds the parameters.
        data: any pytree of tensors [K, ...].
        uses: those that :func:`uses_of` found of the layers whose gradients are to be kept as factors.
        own: the tasks' own parameters [K, Q], where their order is not the network's.
    """
    shared, own = network.shared.detach(), network.own.detach() if own is None else own
    parameters = unpacked(shared, network.shared_shapes)
    watched = {place: network.layers[place] for place in dict.fromkeys(use.place for use in uses)}
    taken = {name for layer in watched.values() for name in (layer.weight, layer.bias)}
    names = tuple(name for name in parameters if name not in taken)
    rest = torch.cat([shared[:0], *(parameters[name].flatten() for name in names)])  # [R]
    taps = [tap(use, watched[use.place], parameters) for use in uses]

    def tapped_loss(
        taps: list[Tensor], rest: Tensor, own: Tensor, data: Any
    ) -> tuple[Tensor, tuple[Metrics, list[Tensor]]]:
        tapped = Tapped(shared, rest, names, watched, taps)
        loss, metrics = task_loss(tapped, own, data)
        return loss, (metrics, [use.inputs for use in tapped.uses])

    gradient = vmap(grad_and_value(tapped_loss, argnums=(0, 1, 2), has_aux=True), in_dims=(None, None, 0, 0))
    (slopes, rows, own_rows), (losses, (metrics, inputs)) = gradient(taps, rest, own, data)
    found = joined_uses(watched, uses, inputs, slopes)
    biases = {
        layer.names.bias: layer.slopes.sum(2, dtype=shared.dtype).flatten(1)
        for layer in found
        if layer.names.bias is not None
    }
    rows = torch.cat([rows, *biases.values()], dim=1)
    gradients = LayerGradients(found, (*names, *biases), rows, network.shared_shapes)
    return TaskGradients(gradients, own_rows, losses, metrics)


def uses_of(task_loss: TaskLoss, network: FlatModule, data: Any) -> list[Use]:
    """Find out which layers a loss uses, and with which sizes, by its value for the first task."""
    shared = network.shared.detach()
    tapped = Tapped(shared, shared, tuple(network.shared_shapes), network.layers, None)
    task_loss(tapped, *tree_map(lambda leaf: leaf[0], (network.own.detach(), data)))
    return [use for use in tapped.uses if use.place not in tapped.unwatchable]


def tap(use: Use, layer: WatchableLayer, parameters: Mapping[str, Tensor]) -> Tensor:
    """The layer's bias for each sample of ``use``, or zeros."""
    if layer.bias is None:
        return parameters[layer.weight].new_zeros((), dtype=use.dtype).expand(use.shape)
    bias = parameters[layer.bias].to(use.dtype)
    return (bias[:, None] if layer.is_bank else bias).expand(use.shape)


def joined_uses(
    watched: Mapping[str, WatchableLayer],
    uses: Sequence[Use],
    inputs: Sequence[Tensor],
    slopes: Sequence[Tensor],
) -> tuple[Layer, ...]:
    """Put the uses of each layer one behind the other along B."""
    pairs: dict[str, list[tuple[Tensor, Tensor]]] = {place: [] for place in watched}
    for use, entered, slope in zip(uses, inputs, slopes, strict=True):
        pairs[use.place].append((entered, slope.reshape(*entered.shape[:3], -1)))
    return tuple(
        Layer(watched[place], *(torch.cat(values, dim=2) for values in zip(*found, strict=True)))
        if len(found) > 1
        else Layer(watched[place], *found[0])
        for place, found in pairs.items()
    )
