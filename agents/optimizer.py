"""Steps parameters by Adam, also inside a compiled program, and loads an optimiser's moments."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mtrl.compiler_cache import find_compiler_caches
from mtrl.errors import require

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class AdamW(torch.optim.AdamW):
    """PyTorch's AdamW, with a step that can be compiled together with what makes the gradients.

    PyTorch's own ``step`` insists on being a program of its own. The moments exist from the beginning, as
    zeros, where PyTorch's are made by the first step.

    Args:
        parameters: whose ``grad`` is set before each step.
        learning_rate: Adam's.
        weight_decay: decoupled from the gradient; 0 is Adam.
    """

    def __init__(
        self, parameters: list[nn.Parameter], learning_rate: float, weight_decay: float = 0.0
    ) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.numel()]
        first = parameters[0]
        find_compiler_caches()  # PyTorch's optimisers import the compiler
        super().__init__(
            self.parameters,
            lr=learning_rate,
            betas=(BETA1, BETA2),
            eps=EPSILON,
            weight_decay=weight_decay,
            fused=not first.is_meta,  # one pass over memory; meta has no such kernel
            capturable=first.is_cuda,  # its step counts stay on the device
        )
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        for parameter in self.parameters:
            zeros = torch.zeros_like(parameter, requires_grad=False)
            count = torch.zeros((), device=parameter.device)
            self.state[parameter] = {"step": count, "exp_avg": zeros, "exp_avg_sq": zeros.clone()}

    def move(self, gradients: list[Tensor]) -> None:
        """Take a step along one gradient for each of ``parameters``."""
        if self.parameters[0].is_meta:  # as many operations, and as little memory, as the kernel it has not
            torch._foreach_add_([self.state[parameter]["step"] for parameter in self.parameters], 1)
            torch._foreach_lerp_([*self.parameters], gradients, self.learning_rate)
            return
        if not torch.compiler.is_compiling():
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter.grad = gradient
            self.step()
            return
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            state = self.state[parameter]
            adam(
                parameter,
                gradient,
                state["exp_avg"],
                state["exp_avg_sq"],
                state["step"],
                self.learning_rate,
                self.weight_decay,
            )


def adam(
    parameter: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    count: Tensor,
    learning_rate: float,
    weight_decay: float,
) -> None:
    """Step ``parameter`` and its moments in place (Kingma and Ba, 2015; Loshchilov and Hutter, 2019)."""
    count.add_(1)
    mean.lerp_(gradient, 1 - BETA1)
    square.lerp_(gradient.square(), 1 - BETA2)
    size = learning_rate / (1 - BETA1**count)
    root = (square / (1 - BETA2**count)).sqrt() + EPSILON
    parameter.mul_(1 - learning_rate * weight_decay).sub_(size * mean / root)


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the moments and step counts of ``state``; keep the options that ``optimizer`` was built with.

    Rates are the configuration's, and where step counts lie is the device's.

    Raises:
        UsageError: for moments that are not their parameter's.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, moments in state["state"].items():
        require(index in range(len(parameters)), f"the optimiser has no parameter {index!r}")
        shape = parameters[index].shape
        expected = {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}
        found = {name: value.shape for name, value in moments.items() if isinstance(value, Tensor)}
        require(
            found == expected and len(moments) == len(expected),
            f"the optimiser's moments must have the shapes {_shown(expected)}, found {_shown(found)}",
        )
    own = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["state"], "param_groups": own})


def _shown(shapes: dict[str, torch.Size]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in sorted(shapes.items()))
