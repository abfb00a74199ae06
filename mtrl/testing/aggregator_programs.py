"""Checks that an aggregator runs on a device without waiting, compiles, and can be saved and resumed."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators import Aggregator
from mtrl.aggregators.proposing import Proposing
from mtrl.testing.cases import SIZE, Case, call, losses, matrix
from mtrl.testing.failure import ContractError, close, hold


def device(case: Case) -> None:
    """Nothing waits for the device: on ``meta``, which holds no numbers, a wait raises."""
    meta = torch.device("meta")
    aggregator = case.fresh().to(meta)
    try:
        for _ in range(2):
            rows = torch.randn(case.num_tasks, SIZE, device=meta)
            found = aggregator(rows, torch.rand(case.num_tasks, device=meta)).vector
        if isinstance(aggregator, Proposing):
            proposal = aggregator.propose(meta)
            rows = torch.randn(len(proposal.mixing()), SIZE, device=meta)
            found = aggregator(rows, torch.rand(case.num_tasks, device=meta), proposal).vector
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise ContractError(
            "nothing may wait for the device (.item(), .cpu(), NumPy, a branch on a tensor), and tensors "
            f"must be made on the gradients' device: {str(error).splitlines()[0]}; or exempt 'device'"
        ) from error
    hold(found.device == meta, f"the vector must be on the gradients' device, found {found.device}")


def compiles(case: Case) -> None:
    """One graph computes what the eager method does, state included."""
    torch._dynamo.reset()
    tasks = min(case.num_tasks, 3)
    plain, other = case.make(tasks), case.make(tasks)
    compiled = torch.compile(other, fullgraph=True, backend="eager")
    for seed in range(2):
        rows, values = matrix(tasks, SIZE - 1, seed), losses(tasks, seed)
        expected = call(plain, rows, values, seed).vector
        try:
            found = call(compiled, rows, values, seed).vector
        except torch._dynamo.exc.Unsupported as error:
            reason = str(error).strip().splitlines()[0]
            raise ContractError(
                f"torch.compile must make one graph: {reason}; or exempt 'compile'"
            ) from error
        close(found, expected, "the compiled method must compute what the eager one does")
    state = other.state_dict()
    for name, value in plain.state_dict().items():
        close(state[name], value, f"compiled, state {name!r} must be as eager: change buffers in place")


def state(case: Case) -> None:
    """A fresh instance goes on from a saved state, to the last bit; and state is what was declared."""
    first = case.fresh()
    _play(case, first, range(3))
    saved = {name: value.clone() for name, value in first.state_dict().items()}
    expected = _play(case, first, range(3, 6))
    resumed = case.fresh()
    resumed.load_state_dict(saved)
    why = "a fresh instance must go on from state_dict() to the last bit: keep state in buffers"
    hold(all(map(torch.equal, _play(case, resumed, range(3, 6)), expected)), why)
    remembers = not all(map(torch.equal, _play(case, case.fresh(), range(3, 6)), expected))
    if remembers:
        hold(len(saved) > 0, "what later directions depend on must be in state_dict()")
    if case.fresh().keeps_task_state:
        hold(remembers, "keeps_task_state is set, but earlier gradients change nothing: leave it out")
    if _has_rows(saved, case.num_tasks):
        hold(case.fresh().keeps_task_state, "state has a row a task: set keeps_task_state = True")


def state_of_other_tasks(case: Case) -> None:
    """A state for another number of tasks is refused with a message, not taken in silence."""
    smaller = case.make(case.num_tasks - 1)
    call(smaller, matrix(case.num_tasks - 1, SIZE - 1), losses(case.num_tasks - 1))
    saved = smaller.state_dict()
    if not _has_rows(saved, case.num_tasks - 1):
        return
    try:
        case.fresh().load_state_dict(saved)
    except ValueError as error:
        why = f"the message must say that the state does not fit num_tasks, found: {error}"
        hold(f"the state does not fit num_tasks = {case.num_tasks}" in str(error), why)
        return
    raise ContractError("a state for another number of tasks must be refused")


def _has_rows(state: dict[str, Tensor], count: int) -> bool:
    return any(value.shape[:1] == (count,) for value in state.values())


def _play(case: Case, aggregator: Aggregator, seeds: range) -> list[Tensor]:
    return [call(aggregator, case.gradients(seed), case.losses(seed), seed).vector for seed in seeds]
