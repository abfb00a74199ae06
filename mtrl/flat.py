"""Networks whose parameters are one vector."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class FlatModule(nn.Module):
    """Wraps a module so that its parameters are a single vector [P].

    Aggregators, optimisers and polyak averages then work on one tensor, and a per-task gradient is
    one row of a [K, P] matrix that no code has to assemble.

    Args:
        module: any module without buffers. Its parameters are copied; it is not used afterwards.
    """

    vector: nn.Parameter

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        names = [name for name, _ in module.named_buffers()]
        if names:
            raise ValueError(f"FlatModule: module must have no buffers, found {names}; make them inputs")
        parameters = dict(module.named_parameters())
        self.shapes = {name: parameter.shape for name, parameter in parameters.items()}
        self.vector = nn.Parameter(torch.cat([p.detach().flatten() for p in parameters.values()]))  # [P]
        # In a tuple, so that the module's own parameters are not registered a second time.
        self._skeleton = (module.to("meta"),)

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Named views into a vector [P]."""
        parts = torch.split(vector, [shape.numel() for shape in self.shapes.values()])
        named = zip(self.shapes.items(), parts, strict=True)
        return {name: part.view(shape) for (name, shape), part in named}

    def apply_with(self, vector: Tensor, *inputs: Tensor) -> Any:
        """The module's output with ``vector`` [P] in place of its own parameters."""
        return functional_call(self._skeleton[0], self.unflatten(vector), inputs)

    def forward(self, *inputs: Tensor) -> Any:
        return self.apply_with(self.vector, *inputs)
