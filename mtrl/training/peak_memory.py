"""Predicts the peak memory of an update, by running it on tensors that have sizes but no contents."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mtrl.types import Agent, SuiteSpec, Transition


class PeakBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it without types
    """Counts the bytes of the tensors created inside it that are still alive, and their peak.

    Scratch memory inside a library's kernel is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for leaf in tree_leaves((args, kwargs)):
            self._note(leaf, born=False)
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            self._note(leaf, born=True)
        return out

    def _note(self, leaf: Any, *, born: bool) -> None:
        """Count a tensor's storage once; one first met as an argument comes from outside and is free."""
        if not isinstance(leaf, Tensor):
            return
        storage = leaf.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        size = storage.nbytes() if born else 0
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def peak_bytes(call: Callable[[], Any]) -> int:
    """Measure the peak, in bytes, of the tensors that ``call`` creates."""
    with PeakBytes() as counter:
        call()
    return counter.peak


def predict_bytes(build: Callable[[torch.device], Agent], spec: SuiteSpec, batch_size: int) -> int | None:
    """Predict the peak bytes of an agent and its updates; None where an update cannot run on the meta device.

    That is the parameters and the state of optimisers and aggregators, and on top of these the peak of an
    update with diagnosis. It takes two updates: the first one allocates what the second finds already there.

    Args:
        build: makes the agent on a device.
        spec: the suite's sizes.
        batch_size: B.
    """
    device = torch.device("meta")

    def run() -> None:
        agent = build(device)
        for _ in range(2):
            agent.update(empty_batch(spec, batch_size, device), True)

    try:
        return peak_bytes(run)
    except (NotImplementedError, RuntimeError):
        return None


def empty_batch(spec: SuiteSpec, batch_size: int, device: torch.device) -> Transition:
    """Make a batch without contents, fields [K, B, ...]."""
    shape = (spec.num_tasks, batch_size)
    return Transition(
        torch.empty(*shape, spec.obs_size, device=device),
        torch.empty(*shape, spec.action_size, device=device),
        torch.empty(shape, device=device),
        torch.empty(*shape, spec.obs_size, device=device),
        torch.empty(shape, dtype=torch.bool, device=device),
    )
