"""Keeps a network's parameters as one vector that the tasks share and one vector for each task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap


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


class OwnPart(NamedTuple):
    """Says where the parameters of one :class:`PerTask` are."""

    columns: slice  # of ``own`` [K, Q]
    shapes: dict[str, torch.Size]  # by name in the module, of one task
    module: nn.Module  # of the first task; its parameters are empty


class Tape:
    """Adds a tap to the outputs of each use of a linear layer, and records which layer was used on what.

    A tap is zero; the gradient in it is that in the outputs of this one use. A use without a tap is recorded
    all the same.
    """

    def __init__(self, taps: Sequence[Tensor]) -> None:
        self.taps = taps
        self.uses: list[tuple[str, Tensor]] = []  # the layer's name and its inputs [..., I]

    def record(self, name: str, inputs: Tensor, outputs: Tensor) -> Tensor:
        place = len(self.uses)
        self.uses.append((name, inputs))
        return outputs if place >= len(self.taps) else outputs + self.taps[place].to(outputs.dtype)


class TappedLinear(nn.Linear):
    """Is the linear layer that it was made of, but lets a :class:`Tape` record its uses."""

    name: str
    tape: Tape | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = super().forward(inputs)
        return outputs if self.tape is None else self.tape.record(self.name, inputs, outputs)


class Taped(NamedTuple):
    """Stands for a network's shared parameters [P] while their gradients are taken layer by layer."""

    shared: Tensor  # [P], of which no gradient is taken
    rest: Tensor  # [R], those outside of tapped layers, of which one is
    tape: Tape


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
        dtype: in which :meth:`apply_with` computes; parameters, results and gradients stay as they are.
        own_parts: what ``own`` is made of.
        layers: the linear layers among the shared parameters, by name.
    """

    shared: nn.Parameter
    own: nn.Parameter
    dtype: torch.dtype | None = None

    def __init__(self, module: nn.Module, num_tasks: int) -> None:
        super().__init__()
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
        self.layers: dict[str, tuple[TappedLinear]] = {}
        self.uses: dict[Any, list[tuple[int, ...]]] = {}  # the layers' outputs, by the sizes of the data
        for name, part in module.named_modules():
            # In place: a module may hold its layers under several names.
            if type(part) is nn.Linear and f"{name}.weight".lstrip(".") in shared:
                part.__class__ = TappedLinear
                assert isinstance(part, TappedLinear)
                part.name = name
                self.layers[name] = (part,)
        # In tuples, so that the module's own parameters are not registered a second time.
        self._skeleton = (module.to("meta"),)

    def places(self) -> dict[str, tuple[int, int]]:
        """Say where the parameters begin and end in ``shared``, by name."""
        ends = list(accumulate((shape.numel() for shape in self.shared_shapes.values()), initial=0))
        return dict(zip(self.shared_shapes, pairwise(ends), strict=True))

    def in_layers(self, name: str) -> bool:
        """Whether the shared parameter ``name`` belongs to one of the ``layers``."""
        return name.rpartition(".")[0] in self.layers

    def apply_with(self, shared: Tensor | Taped, own: Tensor, *inputs: Tensor, exact: bool = False) -> Any:
        """Compute one task's network with parameters ``shared`` [P] and ``own`` [Q], in ``dtype``.

        With ``exact`` in the parameters' own precision, whatever ``dtype`` is.
        """
        tape, rest = None, own[:0]
        if isinstance(shared, Taped):
            shared, rest, tape = shared
        lowered = None if exact else self.dtype
        result_dtype = shared.dtype
        if lowered is not None:
            # By hand: autocast inside vmap(grad) fails at the first layer norm.
            shared, own, rest = shared.to(lowered), own.to(lowered), rest.to(lowered)
            inputs = tuple(value.to(lowered) for value in inputs)
        parameters: dict[str, Tensor] = {}
        for vector, shapes in ((shared, self.shared_shapes), (own, self.own_shapes)):
            if shapes:  # torch.export writes a split into no parts, but cannot read it
                parts = torch.split(vector, [shape.numel() for shape in shapes.values()])
                named = zip(shapes.items(), parts, strict=True)
                parameters |= {name: part.view(shape) for (name, shape), part in named}
        if tape is not None:
            others = {name: shape for name, shape in self.shared_shapes.items() if not self.in_layers(name)}
            parts = torch.split(rest, [shape.numel() for shape in others.values()]) if others else ()
            named = zip(others.items(), parts, strict=True)
            parameters |= {name: part.view(shape) for (name, shape), part in named}
        constants = {
            name: value.to(shared.dtype) if value.is_floating_point() else value
            for name, value in self.constants.items()
        }
        # No parameters are tied; looking for such at every call takes longer than a small layer.
        for (layer,) in self.layers.values() if tape is not None else ():
            layer.tape = tape
        outputs = functional_call(self._skeleton[0], parameters | constants, inputs, tie_weights=False)
        for (layer,) in self.layers.values() if tape is not None else ():
            layer.tape = None
        return outputs if lowered is None else outputs.to(result_dtype)

    def forward(self, *inputs: Tensor) -> Any:
        """Compute the networks of all tasks on inputs [K, ...], in the parameters' own precision."""
        in_dims = (None, 0, *(0 for _ in inputs))
        return vmap(partial(self.apply_with, exact=True), in_dims)(self.shared, self.own, *inputs)

    def num_parameters(self) -> int:
        """Count the parameters: P + K Q."""
        return self.shared.numel() + self.own.numel()
