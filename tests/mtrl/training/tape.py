"""Stands for CUDA graphs where there is no GPU: what a function computes is recorded and computed again."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mtrl.training.graphs import Recorder

CPU = torch.device("cpu")


class Tape(TorchDispatchMode):
    """Records operations; :meth:`replay` computes them again into the same memory, without the function.

    Recording computes them once already, unlike a CUDA graph, so that the first replay has nothing to do.
    """

    def __init__(self):
        super().__init__()
        self.operations = []
        self.computed = True

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func is not torch.ops.aten._local_scalar_dense.default, "the function waits for the device"
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, out))
        return out

    @torch.no_grad()
    def replay(self):
        if self.computed:
            self.computed = False
            return
        for func, args, kwargs, out in self.operations:
            if func.is_view or torch.Tag.inplace_view in func.tags:
                continue
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old is not new:
                    old.copy_(new.view(old.shape))  # the shape may have been changed in place since


class TapeRecorder(Recorder):
    """Records tapes, of which it knows how many."""

    def __init__(self):
        super().__init__(CPU, (), strict=False, say=print)
        self.made = 0

    def capture(self, function):
        self.made += 1
        with Tape() as tape:
            function()
        return tape


class Nothing:
    def replay(self):
        pass


class NullRecorder(TapeRecorder):
    """Its recordings do nothing: what is left is the work of the host."""

    def capture(self, function):
        return Nothing()


class FailingRecorder(TapeRecorder):
    """Fails as CUDA does, where an operation cannot be recorded."""

    def __init__(self, say, *, strict=False):
        super().__init__()
        self.say, self.strict = say, strict

    def capture(self, function):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    def _recover(self):
        pass
