"""Keeps a network's parameters as one vector that the tasks share and one vector for each task."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mtrl.errors import name_of
from mtrl.gradients.taps import Tapped, make_watchable
from mtrl.types import Layout

ALIGNMENT = 16  # bytes
COPIED_FROM = 2**13  # numbers in a matrix, from which a slow product costs more than the copy


class PerTask(nn.Module):
    """Holds K modules of one shape, of which a task sees and trains its own.

    Part of a network to be wrapped in :class:`FlatModule`; before that it stands for the first task.

    Args:
        modules: one for each task, in the tasks' order.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> Any:
        return self.members[0](*inputs)


def unpacked(vector: Tensor, shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Cut ``vector`` into parameters of ``shapes``, in order."""
    if not shapes:  # torch.export writes a split into no parts, but cannot read it
        return {}
    parts = torch.split(vector, [shape.numel() for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def aligned(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy the matrices that do not begin at a multiple of 16 bytes, on which a GPU's products are slow."""
    place = 0
    found = {}
    for name, value in parameters.items():
        if place * value.element_size() % ALIGNMENT and value.numel() >= COPIED_FROM:
            # A bare copy is taken for needless by the compiler.
            value = torch.cat([value.flatten(), value.new_zeros(1)])[:-1].view(value.shape)
        found[name] = value
        place += value.numel()
    return found


class OwnPart(NamedTuple):
    """Says where the parameters of one :class:`PerTask` are."""

    columns: slice  # of ``own`` [K, Q]
    shapes: dict[str, torch.Size]  # by name in the module, of one task
    module: nn.Module  # of the first task; its parameters are empty


class FlatModule(nn.Module):
    """Wraps the network of one task so that its parameters are two tensors.

    ``shared`` [P] is what all tasks have in common: aggregators, optimisers and polyak averages work on one
    tensor, and the per-task gradients are a [K, P] matrix that no code has to assemble. ``own`` [K, Q] stacks
    what the :class:`PerTask` parts hold; task k's takes the gradient of task k alone.

    Args:
        module: the network of one task. Its parameters are copied; it is not used afterwards. Its buffers
            are constants.
        num_tasks: K.

    Attributes:
        made_by: the class of the module, for messages.
        dtype: in which :meth:`apply_with` computes; parameters, results and gradients stay as they are.
        own_parts: what ``own`` is made of.
        layers: those of the tasks' common layers that can be watched, by name, see
            :class:`~mtrl.gradients.taps.Tapped`.
    """

    shared: nn.Parameter
    own: nn.Parameter
    dtype: torch.dtype | None = None

    def __init__(self, module: nn.Module, num_tasks: int) -> None:
        super().__init__()
        self.made_by = name_of(module)
        parts = {name: part for name, part in module.named_modules() if isinstance(part, PerTask)}
        inside = {id(value) for part in parts.values() for value in part.parameters()}
        shared = {name: value for name, value in module.named_parameters() if id(value) not in inside}
        vector = [value.detach().flatten() for value in shared.values()]
        self.constants = dict(module.named_buffers())
        like = next(module.parameters())
        self.shared = nn.Parameter(torch.cat([like.new_empty(0), *vector]))  # [P]
        self.shared_shapes = {name: value.shape for name, value in shared.items()}
        stacks: list[Tensor] = [like.new_empty(num_tasks, 0)]
        self.own_shapes: dict[str, torch.Size] = {}
        self.own_parts: list[OwnPart] = []
        for place, part in parts.items():
            members = part.members
            if len(members) != num_tasks:
                raise ValueError(f"PerTask {place!r} must hold {num_tasks} modules, found {len(members)}")
            first = sum(shape.numel() for shape in self.own_shapes.values())
            shapes = {name: value.shape for name, value in members[0].named_parameters()}
            columns = slice(first, first + sum(shape.numel() for shape in shapes.values()))
            self.own_parts.append(OwnPart(columns, shapes, members[0]))
            for name, shape in shapes.items():
                self.own_shapes[f"{place}.members.0.{name}".lstrip(".")] = shape
                stacks.append(torch.stack([one.get_parameter(name).detach().flatten() for one in members]))
            del part.members[1:]  # the skeleton is the network of one task
        self.own = nn.Parameter(torch.cat(stacks, dim=1))  # [K, Q]
        self._tape, self.layers = make_watchable(module, inside)
        # In a tuple, so that the module's own parameters are not registered a second time.
        self._skeleton = (module.to("meta"),)

    def apply_with(self, shared: Tensor | Tapped, own: Tensor, *inputs: Tensor, exact: bool = False) -> Any:
        """Compute one task's network with parameters ``shared`` [P] and ``own`` [Q], in ``dtype``.

        With ``exact`` in the parameters' own precision, whatever ``dtype`` is.
        """
        result_dtype = own.dtype
        dtype = result_dtype if exact or self.dtype is None else self.dtype
        if dtype != result_dtype:
            # By hand: autocast inside vmap(grad) fails at the first layer norm.
            inputs = tuple(value.to(dtype) for value in inputs)
        parameters = unpacked(own.to(dtype), self.own_shapes)
        if isinstance(shared, Tapped):
            shapes = {name: self.shared_shapes[name] for name in shared.rest_names}
            parameters |= unpacked(shared.rest.to(dtype), shapes)
            weights = self._weights(shared.shared.to(dtype))
            self._tape.watcher = shared
            self._tape.weights = {place: weights[self.layers[place].weight] for place in shared.layers}
        else:
            parameters |= self._weights(shared.to(dtype))
        parameters |= {
            name: value.to(dtype) if value.is_floating_point() else value
            for name, value in self.constants.items()
        }
        try:
            # No parameters are tied; looking for such at every call takes longer than a small layer.
            outputs = functional_call(self._skeleton[0], parameters, inputs, tie_weights=False)
        finally:
            self._tape.watcher, self._tape.weights = None, {}
        return outputs if dtype == result_dtype else outputs.to(result_dtype)

    def _weights(self, shared: Tensor) -> dict[str, Tensor]:
        """The shared parameters by name, as the products of the device like them."""
        parameters = unpacked(shared, self.shared_shapes)
        return aligned(parameters) if shared.is_cuda else parameters

    def forward(self, *inputs: Tensor) -> Any:
        """Compute the networks of all tasks on inputs [K, ...], in the parameters' own precision."""
        in_dims = (None, 0, *(0 for _ in inputs))
        return vmap(partial(self.apply_with, exact=True), in_dims)(self.shared, self.own, *inputs)

    def layout(self, *, own: bool = False) -> Layout:
        """Say where each parameter is in ``shared``, or with ``own`` in that followed by ``own``, flat."""
        shapes = dict(self.shared_shapes)
        if own:
            for task in range(len(self.own)):
                for name, shape in self.own_shapes.items():
                    shapes[name.replace("members.0.", f"members.{task}.")] = shape
        return Layout(tuple(shapes), tuple(shapes.values()))

    def num_parameters(self) -> int:
        """Count the parameters: P + K Q."""
        return self.shared.numel() + self.own.numel()
