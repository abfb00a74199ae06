"""Computes the gradients of K task losses layer by layer, without a gradient of any weight."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_leaves

from mtrl.gradients.flat_module import FlatModule, Tape, Taped
from mtrl.gradients.layers import Layer, LayerGradients
from mtrl.gradients.per_task import TaskGradients, TaskLoss
from mtrl.types import Metrics


def layer_gradients(task_loss: TaskLoss, network: FlatModule, data: Any) -> TaskGradients:
    """Compute what :func:`~mtrl.gradients.per_task.per_task_gradients` does, as :class:`LayerGradients`.

    A layer that is used several times has the samples of all its uses one after another.

    Args:
        task_loss: as there; what it is given as ``shared`` may only be passed on to ``network.apply_with``.
        network: with at least one of ``network.layers``.
        data: any pytree of tensors [K, ...].
    """
    shared, names = network.shared, []
    places = network.places()
    outside = tuple(place for name, place in places.items() if not network.in_layers(name))
    rest = torch.cat([shared[:0], *(shared[start:stop] for start, stop in outside)])  # [R]

    def taped_loss(
        taps: list[Tensor], rest: Tensor, own: Tensor, data: Any
    ) -> tuple[Tensor, tuple[Metrics, list[Tensor]]]:
        tape = Tape(taps)
        loss, metrics = task_loss(Taped(shared, rest, tape), own, data)  # type: ignore[arg-type]
        names[:] = [name for name, _ in tape.uses]
        return loss, (metrics, [inputs for _, inputs in tape.uses])

    dims = (None, 0, 0)
    sizes = tuple(leaf.shape for leaf in tree_leaves(data))
    compiling = torch.compiler.is_compiling()  # then nothing may be kept, and what is not used costs nothing
    uses = None if compiling else network.uses.get(sizes)
    if uses is None:  # one pass without taps says which layers are used, on how many samples
        _, (_, seen) = vmap(partial(taped_loss, []), in_dims=dims)(rest, network.own, data)
        outputs = {name: network.shared_shapes[f"{name}.weight"][0] for name in network.layers}
        uses = [(*inputs.shape[:-1], outputs[name]) for name, inputs in zip(names, seen, strict=True)]
        if not compiling:
            network.uses[sizes] = uses
    taps = [rest.new_zeros(shape) for shape in uses]  # [K, B, O] each
    gradient = vmap(grad_and_value(taped_loss, argnums=(0, 1, 2), has_aux=True), in_dims=(0, *dims))
    found, (losses, (metrics, seen)) = gradient(taps, rest, network.own, data)
    slopes, rest_gradients, own_gradients = found
    layers = []
    for name in dict.fromkeys(names):
        places_used = [place for place, used in enumerate(names) if used == name]
        layers.append(
            Layer(
                torch.cat([by_sample(seen[use]) for use in places_used], dim=1),  # [K, S, I]
                torch.cat([by_sample(slopes[use]) for use in places_used], dim=1),  # [K, S, O]
                places[f"{name}.weight"][0],
                places[f"{name}.bias"][0] if f"{name}.bias" in places else None,
            )
        )
    gradients = LayerGradients(tuple(layers), rest_gradients, outside, shared.numel())
    return TaskGradients(gradients, own_gradients, losses, metrics)


def by_sample(values: Tensor) -> Tensor:
    """View what a layer saw, [K, ..., N], as [K, S, N]; a single vector is one sample."""
    return values.reshape(len(values), -1, values.shape[-1])
