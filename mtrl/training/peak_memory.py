"""How much memory an update needs, found before it runs, with tensors that have sizes but no contents."""

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
    """Counts the bytes of the tensors that are born inside it and still alive, and the most there were.

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
        """Remember a tensor's storage; what is an argument before it was born here comes from outside."""
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
    """The most bytes of new tensors alive at any time during ``call``."""
    with PeakBytes() as counter:
        call()
    return counter.peak


def predict_bytes(build: Callable[[torch.device], Agent], spec: SuiteSpec, batch_size: int) -> int | None:
    """Peak memory of an agent and its updates, in bytes; None where an update cannot run on the meta device.

    That is parameters, optimisers and aggregators' state, and on top of these the most that an update with
    diagnosis has at a time. The second update counts: the first one makes what lives on.

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
    """A batch without contents, fields [K, B, ...]."""
    shape = (spec.num_tasks, batch_size)
    return Transition(
        torch.empty(*shape, spec.obs_size, device=device),
        torch.empty(*shape, spec.action_size, device=device),
        torch.empty(shape, device=device),
        torch.empty(*shape, spec.obs_size, device=device),
        torch.empty(shape, dtype=torch.bool, device=device),
    )
