"""Makes the networks of actor and critics, and tries one of a user's own before it is trained."""

from __future__ import annotations

from pathlib import Path
from traceback import walk_tb

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from mtrl.agents.networks import Build, Layers, Sizes
from mtrl.agents.values import Twin
from mtrl.errors import UsageError, name_of, require
from mtrl.gradients.flat_module import FlatModule

SAMPLES = 2
REMEDY = "mtrl.testing.check_network says what else a network has to keep"


def flat_network(
    build: Build, sizes: Sizes, layers: Layers, place: str, *, twins: bool = False
) -> FlatModule:
    """Make one network, or twins, for all tasks.

    Args:
        build: makes it for one task.
        sizes: of what goes in and comes out.
        layers: where parameters are born.
        place: of its class in the configuration.
        twins: whether there are to be two, stacked.

    Raises:
        UsageError: for a class of a user's own that cannot be trained, with the line that fails.
    """
    modules = [build(sizes, layers) for _ in range(1 + twins)]
    foreign = type(modules[0]).__module__.partition(".")[0] != "mtrl"
    where = f"{place} ({name_of(modules[0])})"
    if foreign:
        _require_samples_apart(modules[0], where)
    try:
        network = FlatModule(Twin(*modules) if twins else modules[0], sizes.num_tasks)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error
    network.made_by = name_of(modules[0])
    if foreign:
        _try(network, modules[0], sizes, layers.device, where)
    return network


def _require_samples_apart(module: nn.Module, where: str) -> None:
    """Raise for a layer whose result depends on more than the sample and the parameters."""
    for part in module.modules():
        kind = type(part).__name__
        statistics = isinstance(part, _BatchNorm)
        require(not statistics, f"{where} holds a {kind}, which mixes samples and tasks: take nn.LayerNorm")
        drops = isinstance(part, _DropoutNd) and part.p > 0
        require(not drops, f"{where} holds a {kind}, whose chance no checkpoint keeps: leave it out")


def _try(network: FlatModule, module: nn.Module, sizes: Sizes, device: torch.device, where: str) -> None:
    """Run it on zeros."""
    count = sizes.num_tasks
    widths = (sizes.inputs - sizes.actions, sizes.actions) if sizes.actions else (sizes.inputs,)
    inputs = [torch.zeros(count, SAMPLES, width, device=device) for width in widths]
    versions = [buffer._version for buffer in network.constants.values()]
    try:
        with torch.no_grad():
            found = network(torch.eye(count, device=device), *inputs)
    except Exception as error:  # whatever it may raise
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise UsageError(
            f"{where} fails for one task, its one-hot [{count}] and inputs {[[SAMPLES, n] for n in widths]}: "
            f"{type(error).__name__}: {reason}{_line(error, module)}; {REMEDY}"
        ) from error
    shape = list(getattr(found, "shape", ()))
    wanted = [SAMPLES, sizes.outputs]
    require(
        shape[:1] == [count] and shape[-2:] == wanted,
        f"{where} must return [B, sizes.outputs], here {wanted}; found {shape[-2:]}; {REMEDY}",
    )
    still = versions == [buffer._version for buffer in network.constants.values()]
    require(still, f"{where} changes a buffer in forward: buffers are constants, the same for all tasks")


def _line(error: Exception, module: nn.Module) -> str:
    """Where in the user's own files it failed, as far as that can be told."""
    names = {type(part).__module__ for part in module.modules()}
    foreign = {name for name in names if name.partition(".")[0] not in ("mtrl", "torch")}
    frames = [
        f" ({Path(frame.f_code.co_filename).name}, line {line})"
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") in foreign
    ]
    return frames[-1] if frames else ""
