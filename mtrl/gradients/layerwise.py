"""Computes the gradients of K task losses without the products that make a row for each task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from mtrl.gradients.flat_module import FlatModule
from mtrl.gradients.layers import Layer, LayerGradients, Rows
from mtrl.gradients.per_task import TaskGradients, TaskLoss
from mtrl.gradients.taps import Tapped, Use, WatchableLayer
from mtrl.types import Metrics

SEPARATE = 2**15  # numbers in a parameter, from which joining its rows with others costs more than it saves


def layer_gradients(
    task_loss: TaskLoss, network: FlatModule, data: Any, uses: Sequence[Use], layers: Collection[str]
) -> TaskGradients:
    """Compute the gradients of K losses as :func:`~mtrl.gradients.per_task.per_task_gradients` does.

    The backward pass stops at the outputs of ``layers``; what their weights' gradients are made of is kept.

    Args:
        task_loss: of the network; touches the shared parameters by nothing but its ``apply_with``.
        network: holds the parameters.
        data: any pytree of tensors [K, ...].
        uses: what :func:`uses_of` found.
        layers: those among them whose gradients are kept as factors.
    """
    shared, own = network.shared.detach(), network.own.detach()
    parameters = network.named(shared)
    uses = [use for use in uses if use.place in layers]
    watched = {place: network.layers[place] for place in layers}
    groups = grouped(parameters, {name for layer in watched.values() for name in layer.names})
    rest = [torch.cat([shared[:0], *(parameters[name].flatten() for name in names)]) for names in groups]
    taps = [tap(use, watched[use.place], parameters) for use in uses]

    def tapped_loss(
        taps: list[Tensor], rest: list[Tensor], own: Tensor, data: Any
    ) -> tuple[Tensor, tuple[Metrics, list[Tensor]]]:
        tapped = Tapped(shared, dict(zip(groups, rest, strict=True)), frozenset(layers), taps)
        loss, metrics = task_loss(tapped, own, data)
        return loss, (metrics, [use.inputs for use in tapped.uses])

    gradient = vmap(grad_and_value(tapped_loss, argnums=(0, 1, 2), has_aux=True), in_dims=(None, None, 0, 0))
    (slopes, rows, own_rows), (losses, (metrics, inputs)) = gradient(taps, rest, own, data)
    found = tuple(joined(watched[place], *factors_at(place, uses, inputs, slopes)) for place in watched)
    biases = {
        layer.names.bias: layer.slopes.sum(2, dtype=shared.dtype).flatten(1)
        for layer in found
        if layer.names.bias is not None
    }
    small = Rows((*groups[0], *biases), torch.cat([rows[0], *biases.values()], dim=1))
    large = (Rows(names, values) for names, values in zip(groups[1:], rows[1:], strict=True))
    return TaskGradients(
        LayerGradients(found, (small, *large), network.shared_shapes), own_rows, losses, metrics
    )


def uses_of(task_loss: TaskLoss, network: FlatModule, data: Any) -> list[Use]:
    """Find out which layers a loss uses, and with which sizes, by its value for the first task."""
    shared = network.shared.detach()
    tapped = Tapped(shared, {tuple(network.shared_shapes): shared}, frozenset(network.layers), None)
    task_loss(tapped, *tree_map(lambda leaf: leaf[0], (network.own.detach(), data)))
    return [use for use in tapped.uses if use.place not in tapped.unwatchable]


def grouped(parameters: Mapping[str, Tensor], excluded: Collection[str]) -> list[tuple[str, ...]]:
    """Name the parameters that are differentiated by rows: small ones together, large ones each alone."""
    kept = {name: value.numel() for name, value in parameters.items() if name not in excluded}
    small = tuple(name for name, size in kept.items() if size < SEPARATE)
    return [small, *((name,) for name, size in kept.items() if size >= SEPARATE)]


def tap(use: Use, layer: WatchableLayer, parameters: Mapping[str, Tensor]) -> Tensor:
    """The layer's bias for each sample of ``use``, or zeros."""
    if layer.bias is None:
        return parameters[layer.weight].new_zeros((), dtype=use.dtype).expand(use.shape)
    bias = parameters[layer.bias].to(use.dtype)
    return (bias[:, None] if layer.is_bank else bias).expand(use.shape)


def factors_at(
    place: str, uses: Sequence[Use], inputs: Sequence[Tensor], slopes: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """The inputs and slopes of a layer's uses, [K, n, B, in] and [K, n, B, out] each."""
    mine = [number for number, use in enumerate(uses) if use.place == place]
    return [inputs[number] for number in mine], [
        slopes[number].reshape(*inputs[number].shape[:3], -1) for number in mine
    ]


def joined(layer: WatchableLayer, inputs: list[Tensor], slopes: list[Tensor]) -> Layer:
    """Put the uses of a layer one behind the other along B."""
    factors = (values[0] if len(values) == 1 else torch.cat(values, dim=2) for values in (inputs, slopes))
    return Layer(layer, *factors)
