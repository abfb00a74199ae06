"""Networks whose parameters are one vector that the tasks share and one row for each task."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap


class PerTask(nn.Module):
    """K modules of one shape, of which a task sees and trains its own.

    Part of a network to be wrapped in :class:`FlatModule`; before that it stands for the first task.

    Args:
        modules: one for each task, in the tasks' order.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        super().__init__()
        self.rows = nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> Any:
        return self.rows[0](*inputs)


class OwnObjective(nn.Module):
    """A module of :class:`PerTask` some of whose parameters do not learn from the task's loss."""

    def redirect(
        self, parameters: dict[str, Tensor], gradients: dict[str, Tensor], directions: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """The directions in which the parameters move, all named and [K, ...].

        Args:
            parameters: of all tasks.
            gradients: of the tasks' losses.
            directions: what an aggregator left of them; to be returned where nothing is to be changed.
        """
        raise NotImplementedError


class FlatModule(nn.Module):
    """Wraps the network of one task so that its parameters are two tensors.

    ``shared`` [P] is what all tasks have in common: aggregators, optimisers and polyak averages work on one
    tensor, and a per-task gradient is one row of a [K, P] matrix that no code has to assemble. ``own``
    [K, Q] stacks what the :class:`PerTask` parts hold; row k takes the gradient of task k alone.

    Args:
        module: the network of one task. Its parameters are copied; it is not used afterwards. Its buffers
            are constants.
        num_tasks: K.

    Attributes:
        dtype: in which :meth:`apply_with` computes; parameters, results and gradients stay as they are.
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
        self._objectives: list[tuple[slice, dict[str, torch.Size], OwnObjective]] = []
        for place, part in parts.items():
            if len(part.rows) != num_tasks:
                raise ValueError(f"PerTask {place!r} must hold {num_tasks} modules, found {len(part.rows)}")
            first = sum(shape.numel() for shape in self.own_shapes.values())
            inner = {name: value.shape for name, value in part.rows[0].named_parameters()}
            if isinstance(part.rows[0], OwnObjective):
                columns = slice(first, first + sum(shape.numel() for shape in inner.values()))
                self._objectives.append((columns, inner, part.rows[0]))
            for name, shape in inner.items():
                self.own_shapes[f"{place}.rows.0.{name}".lstrip(".")] = shape
                stacks.append(torch.stack([row.get_parameter(name).detach().flatten() for row in part.rows]))
            del part.rows[1:]  # the skeleton is the network of one task
        self.own = nn.Parameter(torch.cat(stacks, dim=1))  # [K, Q]
        # In a tuple, so that the module's own parameters are not registered a second time.
        self._skeleton = (module.to("meta"),)

    def apply_with(self, shared: Tensor, own: Tensor, *inputs: Tensor) -> Any:
        """The network of one task with parameters ``shared`` [P] and ``own`` [Q], computed in ``dtype``."""
        if self.dtype is None:
            return self._apply_with(shared, own, *inputs)
        # By hand: autocast inside vmap(grad) fails at the first layer norm.
        low = [value.to(self.dtype) for value in (shared, own, *inputs)]
        return self._apply_with(*low).to(shared.dtype)

    def _apply_with(self, shared: Tensor, own: Tensor, *inputs: Tensor) -> Any:
        parameters = _unflatten(shared, self.shared_shapes) | _unflatten(own, self.own_shapes)
        # No parameters are tied; looking for such at every call takes longer than a small layer.
        constants = {
            name: value.to(shared.dtype) if value.is_floating_point() else value
            for name, value in self.constants.items()
        }
        return functional_call(self._skeleton[0], parameters | constants, inputs, tie_weights=False)

    def forward(self, *inputs: Tensor) -> Any:
        """The networks of all tasks on inputs [K, ...], in the parameters' own precision."""
        in_dims = (None, 0, *(0 for _ in inputs))
        return vmap(self._apply_with, in_dims)(self.shared, self.own, *inputs)

    def redirect(self, gradients: Tensor, directions: Tensor) -> Tensor:
        """Own directions [K, Q] in which each :class:`OwnObjective` has put those of its own.

        Args:
            gradients: of the tasks' losses, [K, Q].
            directions: what aggregation made of them, [K, Q].
        """
        for columns, shapes, part in self._objectives:
            named = vmap(partial(_unflatten, shapes=shapes))
            found = (named(rows[:, columns]) for rows in (self.own, gradients, directions))
            moved = part.redirect(*found)
            before, after = directions[:, : columns.start], directions[:, columns.stop :]
            directions = torch.cat([before, *(moved[name].flatten(1) for name in shapes), after], dim=1)
        return directions

    def num_parameters(self) -> int:
        """P + K Q."""
        return self.shared.numel() + self.own.numel()


def _unflatten(vector: Tensor, shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """Named views into a vector."""
    if not shapes:
        return {}  # torch.export writes a split into no parts, but cannot read it
    parts = torch.split(vector, [shape.numel() for shape in shapes.values()])
    named = zip(shapes.items(), parts, strict=True)
    return {name: part.view(shape) for (name, shape), part in named}
