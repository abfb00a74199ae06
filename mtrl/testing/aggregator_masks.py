"""Checks that a task that is left out changes nothing for the others, as if it did not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mtrl.aggregators import Aggregator
from mtrl.testing.cases import Case, call, losses, matrix
from mtrl.testing.failure import close, hold

CALLS = 100
LEFT_OUT = 1
DRAWS: dict[Callable[..., Tensor], Callable[..., Tensor]] = {
    torch.rand: torch.rand,
    torch.rand_like: torch.rand,
    torch.randn: torch.randn,
    torch.randn_like: torch.randn,
}


class OthersDraws(TorchFunctionMode):
    """Gives a method for K − 1 tasks the random numbers that one for K tasks draws, less one task's."""

    def __init__(self, num_tasks: int) -> None:
        super().__init__()
        self.num_tasks = num_tasks

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        before = torch.get_rng_state()
        found = func(*args, **(kwargs or {}))
        if func not in DRAWS or self.num_tasks - 1 not in found.shape:
            return found
        torch.set_rng_state(before)
        shape = [size + (size == self.num_tasks - 1) for size in found.shape]
        return _others(DRAWS[func](shape, dtype=found.dtype, device=found.device), self.num_tasks)


def masked(case: Case) -> None:
    """With a task left out at each call, directions and state are those of the other tasks alone."""
    remembers = len(case.fresh().state_dict()) > 0
    _follow(case, case.fresh(), case.make(case.num_tasks - 1), CALLS if remembers else 3)
    if not remembers:
        return
    whole, rest = case.fresh(), case.make(case.num_tasks - 1)
    for seed in range(3):
        call(whole, *_inputs(case, seed), seed)
    rest.load_state_dict(_others_state(whole))
    _follow(case, whole, rest, 10)


def _follow(case: Case, whole: Aggregator, rest: Aggregator, calls: int) -> None:
    why = "a task that is not finite must count for nothing: weigh by shares, not by 1/K"
    for seed in range(calls):
        rows, values = _inputs(case, seed)
        with OthersDraws(case.num_tasks):
            others = (_others(rows, case.num_tasks), _others(values, case.num_tasks))
            expected = call(rest, *others, seed).vector
        if seed % 2 == 0:
            rows[LEFT_OUT] = torch.nan
        else:
            values[LEFT_OUT] = torch.inf
        close(call(whole, rows, values, seed).vector, expected, f"{why}; at call {seed + 1}")
    found = _others_state(whole)
    for name, value in rest.state_dict().items():
        same = f"after calls without a task, state {name!r} must be that of a method for the others alone"
        hold(name in found and found[name].shape == value.shape, same)
        close(found[name], value, same)


def _inputs(case: Case, seed: int) -> tuple[Tensor, Tensor]:
    """Gradients of a size that is no number of tasks, and losses."""
    return matrix(case.num_tasks, 2 * case.num_tasks, seed), losses(case.num_tasks, seed)


def _others_state(aggregator: Aggregator) -> dict[str, Tensor]:
    count = aggregator.num_tasks
    return {name: _others(value, count) for name, value in aggregator.state_dict().items()}


def _others(values: Tensor, count: int) -> Tensor:
    """What ``values`` hold of the other tasks: each dimension of size K without one place."""
    kept = [task for task in range(count) if task != LEFT_OUT]
    for axis, size in enumerate(values.shape):
        if size == count:
            values = values.index_select(axis, torch.tensor(kept, device=values.device))
    return values
