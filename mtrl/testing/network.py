"""Checks a network of your own by one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtrl.agents.networks import Build, Layers, Sizes
from mtrl.errors import UsageError
from mtrl.gradients.flat_module import FlatModule
from mtrl.gradients.per_task import per_task_gradients
from mtrl.testing.failure import ContractError, close, hold
from mtrl.types import Metrics

OBS, ACTIONS, ROWS = 5, 2, 8  # O, A, B
CPU, META = torch.device("cpu"), torch.device("meta")


@dataclass(frozen=True)
class Case:
    """A network under check, as an actor's or as a critic's."""

    build: Build
    task_names: tuple[str, ...]
    critic: bool

    def network(self, device: torch.device = CPU, seed: int = 0) -> FlatModule:
        """The networks of all tasks."""
        generator = None if device == META else torch.Generator().manual_seed(seed)
        sizes = (
            Sizes(self.task_names, OBS + ACTIONS, 1, ACTIONS)
            if self.critic
            else Sizes(self.task_names, OBS, 2 * ACTIONS)
        )
        module = self.build(sizes, Layers(device, generator))
        where = {value.device for value in (*module.parameters(), *module.buffers())}
        hold(where == {device}, f"parameters and buffers must be born on layers.device, found {where}")
        try:
            return FlatModule(module, len(self.task_names))
        except UsageError as error:
            raise ContractError(str(error)) from error
        except ValueError as error:
            raise ContractError(
                f"a PerTask must hold one module a task of sizes.task_names: {error}"
            ) from error

    @property
    def outputs(self) -> int:
        """What sizes.outputs asked for."""
        return 1 if self.critic else 2 * ACTIONS

    def inputs(self, device: torch.device = CPU) -> tuple[Tensor, ...]:
        """The task's one-hot [K, K], observations [K, B, O], and for a critic actions [K, B, A]."""
        count = len(self.task_names)
        generator = torch.Generator().manual_seed(1)
        rows = [torch.randn(count, ROWS, size, generator=generator) for size in (OBS, ACTIONS)]
        used = rows if self.critic else rows[:1]
        return tuple(value.to(device) for value in (torch.eye(count), *used))


def outputs(case: Case) -> None:
    """Outputs are [B, outputs] for each task, a function of the row alone."""
    network, inputs = case.network(), case.inputs()
    try:
        found = network(*inputs)
    except TypeError as error:
        raise ContractError(f"forward must take (task, *inputs): {error}") from error
    except (RuntimeError, ValueError) as error:
        raise ContractError(
            "forward(task, *inputs) must work for one task under torch.func.vmap, with the task's one-hot "
            f"[K] and inputs [B, ...]: {str(error).splitlines()[0]}"
        ) from error
    wanted = (len(case.task_names), ROWS, case.outputs)
    hold(
        found.shape == wanted,
        "forward(task, *inputs) must return [B, sizes.outputs] for inputs [B, ...], observation and for a "
        f"critic action: for all tasks {list(wanted)}, found {list(found.shape)}",
    )
    hold(found.dtype == torch.float32, f"outputs must be float32, found {found.dtype}")
    hold(found.isfinite().all(), "outputs must be finite for inputs of size 1")
    hold(torch.equal(network(*inputs), found), "equal inputs must give equal outputs: no chance, no memory")
    few = network(inputs[0], *(value[:, :3] for value in inputs[1:]))
    close(few, found[:, :3], "a row's outputs must not depend on the other rows of the batch")


def seeds(case: Case) -> None:
    """Initial weights come from the run's generator, so that a run can be repeated."""
    before = torch.get_rng_state()
    first, second, other = (case.network(seed=seed) for seed in (3, 3, 4))
    why = "initial weights must be drawn from layers.generator: make layers by layers.linear, .vector ..."
    hold(torch.equal(torch.get_rng_state(), before), f"{why}; PyTorch's own generator was used")
    hold(torch.equal(first.shared, second.shared) and torch.equal(first.own, second.own), why)
    vary = not (torch.equal(first.shared, other.shared) and torch.equal(first.own, other.own))
    hold(vary, f"{why}; two seeds gave the same")


def gradients(case: Case) -> None:
    """Every task gets finite gradients, and something learns from each."""
    network = case.network()
    found = _gradients(network, network.shared, network.own, case.inputs())
    each = torch.cat([found[0], found[1]], dim=1)  # [K, P + Q]
    hold(each.isfinite().all(), "gradients must be finite for inputs of size 1")
    hold((each != 0).any(1).all(), "every task's loss must have a gradient: is the output detached?")


def device(case: Case) -> None:
    """Nothing waits for the device, and nothing is left on the host."""
    try:
        found = case.network(META)(*case.inputs(META))
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise ContractError(
            "nothing may wait for the device (.item(), .cpu(), NumPy, a branch on a tensor), and tensors "
            f"must be made on the inputs' device or be buffers: {str(error).splitlines()[0]}"
        ) from error
    hold(found.device == META, f"outputs must be on the inputs' device, found {found.device}")


def compiles(case: Case) -> None:
    """One graph gives the same gradients."""
    torch._dynamo.reset()
    network, inputs = case.network(), case.inputs()

    def program(shared: Tensor, own: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return _gradients(network, shared, own, inputs)

    compiled = torch.compile(program, fullgraph=True, backend="eager")
    expected = program(network.shared, network.own, inputs)
    try:
        found = compiled(network.shared, network.own, inputs)
    except (torch._dynamo.exc.Unsupported, torch._dynamo.exc.UserError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ContractError(f"torch.compile must make one graph of the gradients: {reason}") from error
    for one, other in zip(found, expected, strict=True):
        close(one, other, "compiled gradients must be those computed eagerly")


def _gradients(
    network: FlatModule, shared: Tensor, own: Tensor, inputs: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Of the mean square of the outputs beside 1: [K, P] and [K, Q]."""

    def loss(shared: Any, own: Tensor, data: tuple[Tensor, ...]) -> tuple[Tensor, Metrics]:
        return (network.apply_with(shared, own, *data) - 1).square().mean(), {}

    found = per_task_gradients(loss, shared.detach(), own.detach(), inputs)
    assert isinstance(found.shared, Tensor)
    return found.shared, found.own


CHECKS: dict[str, Callable[[Case], None]] = {
    "outputs": outputs,
    "seeds": seeds,
    "gradients": gradients,
    "device": device,
    "compile": compiles,
}


def check_network(build: Build, *, task_names: Sequence[str] = ("a", "b", "c")) -> None:
    """Check a network as an actor's and as a critic's, on observations of 5 and actions of 2 numbers.

    Args:
        build: called with sizes and layers: the network's class with its options bound by
            ``functools.partial``.
        task_names: of the tasks; a network that reads a description of each needs such as have one.

    Raises:
        ContractError: saying what is broken, and why it matters.
    """
    for critic in (False, True):
        for check in CHECKS.values():
            check(Case(build, tuple(task_names), critic))
