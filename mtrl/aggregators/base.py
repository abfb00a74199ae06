"""Defines what every aggregator does: it takes K gradients and K losses and gives one direction.

A new method is one subclass of :class:`GramAggregator` with a ``weights`` method of its own, or of
:class:`Aggregator` with ``aggregate`` where the Gram matrix is not enough. What they share is here:

*Shares.* Every method receives ``shares`` [K], what each gradient counts for in the mean; they sum to 1.
Usually each is 1/K. A task whose gradient or loss is not finite has share 0 and its gradient is all
zeros, so a method that averages by shares does the right thing without thinking of it: a masked task never
reaches a method's state, the others go on as if it did not exist, and ``Direction.metrics`` counts it as
``masked_tasks``. A gradient whose norm overflows is masked too. A *zero* gradient keeps its share.

*State.* What a method remembers lies in buffers of float32 or float64, whatever the gradients' type: an
average in half precision stands still. ``to(dtype)`` leaves it alone. A buffer whose size the first gradients
decide is registered empty, as ``torch.zeros(num_tasks, 0)``; a checkpoint brings its size along.

*Composition.* A method that wraps another takes it first: ``GradientTracking(CAGrad(10, c=0.9), beta=0.99)``.
Instead of an instance it accepts whatever makes one when called with ``num_tasks``, a class or a
``functools.partial``, and then needs ``num_tasks`` itself. That is how a configuration file composes,
with ``_partial_: true`` on the inner method, and only the outermost is told the number of tasks.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from mtrl.aggregators._answers import checked_direction, unusable
from mtrl.aggregators._state import keep_precision, make_room
from mtrl.aggregators.matrix import are_finite, combine, gradient_norms, gram_matrix
from mtrl.errors import UsageError, require
from mtrl.types import Direction, ImplicitGradients, Layout

Reads = Literal["rows", "gram", "norms", "losses"]  # all of [K, P], or what is enough besides a combination


class Aggregator(nn.Module, ABC):
    """Turns per-task gradients into one descent direction.

    Args:
        num_tasks: K, the number of gradients at every call.
    """

    needs: ClassVar[Literal["losses", "gradients"]] = "gradients"  # what the weights are computed from
    keeps_task_state: ClassVar[bool] = False  # whether gradient k must be the same task's at every call
    masks_itself: ClassVar[bool] = False  # whether ``aggregate`` ignores what gradients with share 0 contain
    solver_step: Callable[..., Tensor] | None = None  # what the solver repeats, see ``compile_solvers``
    layout: Layout | None = None  # of the columns of [K, P], see ``lay_out``; None where nobody said it

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        whole = isinstance(num_tasks, numbers.Integral) and not isinstance(num_tasks, bool)
        message = f"{type(self).__name__}: num_tasks must be a positive integer, found {num_tasks!r}"
        require(whole and num_tasks >= 1, message)
        self.num_tasks = int(num_tasks)

    @property
    def looks_at(self) -> Reads:
        """What a call must be given of the gradients, see :data:`Reads`."""
        return "rows"

    @abstractmethod
    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        """Aggregate gradients [K, P] with finite ``losses`` [K] and ``shares`` [K], float64.

        The gradients are finite, and zero where the share is, unless the class says ``masks_itself``. A share
        of zero leaves out a task, and what is remembered of it stays as it is.
        """

    @torch.no_grad()
    def forward(self, gradients: Tensor, losses: Tensor) -> Direction:
        """Aggregate ``gradients`` [K, P] whose losses are ``losses`` [K]."""
        self.check(gradients, losses)
        usable, losses, shares = mask(gradient_norms(gradients), losses)
        masked = gradients if self.masks_itself else torch.where(usable[:, None], gradients, 0)
        direction = checked_direction(self, self.aggregate(masked, losses, shares), gradients)
        metrics = direction.metrics | {"masked_tasks": (~usable).sum()}
        return Direction(direction.vector, direction.weights, metrics, usable)

    def check(self, gradients: Tensor | ImplicitGradients, losses: Tensor) -> None:
        """Raise :class:`~mtrl.errors.UsageError` on shapes or types that no method can use."""
        tasks = self.num_tasks
        for argument, value in (("gradients", gradients), ("losses", losses)):
            if not isinstance(value, Tensor) and not (value is gradients and hasattr(value, "combine")):
                problem = f"{argument} must be a tensor, found {type(value).__name__}; use torch.stack"
                raise UsageError(f"{type(self).__name__}: {problem}")
        if len(gradients.shape) != 2 or gradients.shape[0] != tasks:
            problem = (
                f"gradients must have shape [K, P] with K = num_tasks = {tasks}, found "
                f"{list(gradients.shape)}; flatten each task's gradient into one vector"
            )
        elif isinstance(gradients, Tensor) and not gradients.is_floating_point():
            problem = f"gradients must be floating point, found {gradients.dtype}; convert with .float()"
        elif losses.shape != (tasks,):
            problem = f"losses must have shape [K] = [{tasks}], found {list(losses.shape)}"
        elif not losses.is_floating_point():
            problem = f"losses must be floating point, found {losses.dtype}; convert with .float()"
        else:
            return
        raise UsageError(f"{type(self).__name__}: {problem}")

    def lay_out(self, layout: Layout) -> None:
        """Be told, and tell those inside, which columns belong to which parameter, before the first call."""
        for module in self.modules():
            if isinstance(module, Aggregator):
                module.layout = layout

    def compile_solvers(self, compiler: Callable[[Callable[..., Tensor]], Callable[..., Tensor]]) -> None:
        """Compile the ``solver_step`` of this method and of those inside it, which are what repeats."""
        for module in self.modules():
            if isinstance(module, Aggregator) and module.solver_step is not None:
                module.solver_step = compiler(module.solver_step)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As in torch, with a :class:`~mtrl.errors.UsageError` for the state of another method."""
        make_room(self, state_dict, self.num_tasks)
        found, expected = sorted(state_dict), sorted(self.state_dict())
        require(
            found == expected or not strict,
            f"{type(self).__name__}: the state must have the entries {expected}, found {found}; it was saved "
            "by another method or another version: build the aggregator that saved it",
        )
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            raise UsageError(
                f"{type(self).__name__}: the state does not fit num_tasks = {self.num_tasks}; build the "
                f"aggregator with as many tasks as the one that saved it ({error})"
            ) from error

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        # What ``to``, ``half`` and ``bfloat16`` call, of a module that holds this one as well.
        apply: Any = super()._apply
        return apply(lambda held: keep_precision(held, fn(held)), recurse)


class GramAggregator(Aggregator):
    """Decides on the Gram matrix alone; its direction is ``weights @ gradients``."""

    gram: Callable[[Any], Tensor] = staticmethod(gram_matrix)  # of [K, P], what :meth:`weights` sees

    @abstractmethod
    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        """Choose weights [K] from the float64 Gram matrix [K, K], the losses [K] and the shares [K]."""

    def chosen(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        """The :meth:`weights` [K] of the tasks that have a share; a UsageError if they are no weights."""
        usable = shares > 0
        gram = torch.where(usable[:, None] & usable, gram, 0)  # no copy of the gradients
        weights: Any = self.weights(gram, losses, shares)
        # One of [1] or [K, 1] would broadcast in silence.
        if not isinstance(weights, Tensor) or (weights.shape, weights.device) != (
            shares.shape,
            shares.device,
        ):
            raise unusable(self, "weights must be [K]", weights, len(shares), shares.device)
        return torch.where(usable, weights, 0)

    def settle(
        self, weights: Tensor, shares: Tensor, along: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Give the direction [P] of ``weights`` [K] and the weights it has in the end.

        Args:
            along: gives  Σ w_i g_i  [..., P] for any w [..., K].
        """
        return along(weights), weights

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        """As everywhere, but gradients with share zero need only be finite: they are not read."""
        weights = self.chosen(self.gram(gradients), losses, shares)

        def along(weights: Tensor) -> Tensor:
            return weights.to(gradients.dtype) @ gradients

        vector, weights = self.settle(weights, shares, along)
        return Direction(vector, weights.to(gradients.dtype), {})

    @property
    def looks_at(self) -> Reads:
        if type(self).forward is not GramAggregator.forward:
            return "rows"
        if type(self).gram is gram_matrix:
            return "gram"
        return "rows"

    @torch.no_grad()
    def forward(self, gradients: Tensor | ImplicitGradients, losses: Tensor) -> Direction:
        """Aggregate ``gradients`` [K, P] whose losses are ``losses`` [K]."""
        self.check(gradients, losses)
        gram = self.gram(gradients)
        usable, losses, shares = mask(gram.diagonal(), losses)
        weights = self.chosen(gram, losses, shares)

        def along(weights: Tensor) -> Tensor:
            return combine(weights, gradients, usable)

        if isinstance(gradients, Tensor):
            vector, weights = self.settle(weights, shares, along)
        else:  # where each combination costs a backward pass through the layers
            vector = along(weights)
        metrics = {"masked_tasks": (~usable).sum()}
        return Direction(vector, weights.to(gradients.dtype), metrics, usable)


class NormAggregator(GramAggregator):
    """Reads norms at most: its Gram matrix is diagonal, and costs K·P instead of K²·P."""

    @property
    def looks_at(self) -> Reads:
        if type(self).forward is not GramAggregator.forward or type(self).gram is not NormAggregator.gram:
            return "rows"
        return "losses" if self.needs == "losses" else "norms"

    def gram(self, gradients: Tensor | ImplicitGradients) -> Tensor:
        if self.needs == "losses" and not isinstance(gradients, Tensor):
            squares = gradients.bounds().double()  # what is finite is all that matters
        else:
            squares = gradient_norms(gradients).square()
        return torch.diag(squares)


def mask(lengths: Tensor, losses: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Leave out the tasks with a gradient or a loss that is not finite.

    Args:
        lengths: norms of the gradients or their squares, [K].
        losses: [K].

    Returns:
        which tasks are usable, [K]; their losses, those of the others replaced by the mean, which is neutral
        wherever losses are compared; and everyone's shares.
    """
    usable = are_finite(lengths) & are_finite(losses)
    count = usable.sum().clamp(min=1)
    mean = torch.where(usable, losses, 0).sum() / count
    return usable, torch.where(usable, losses, mean), usable.double() / count


def build_inner(
    owner: str, inner: Aggregator | Callable[..., Aggregator], num_tasks: int | None
) -> Aggregator:
    """Return the aggregator that a wrapper named ``owner`` wraps; see the head of this module."""
    if not isinstance(inner, Aggregator):
        require(
            callable(inner),
            f"{owner}: inner must be an aggregator, or make one when called with num_tasks; found {inner!r}",
        )
        require(
            num_tasks is not None, f"{owner}: num_tasks must be given when inner is not yet built; found None"
        )
        inner = inner(num_tasks=num_tasks)
    require(
        num_tasks in (None, inner.num_tasks),
        f"{owner}: num_tasks must be that of inner, {inner.num_tasks}, or left out; found {num_tasks}",
    )
    return inner
