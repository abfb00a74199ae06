"""Says which networks cannot be computed for all tasks at once, before a tensor is computed."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from mtrl.errors import require


class Slots(NamedTuple):
    """Says where a network's parameters are."""

    tied: dict[str, str]  # the further names of a parameter, to its first
    frozen: dict[str, nn.Parameter]  # those that do not learn, by all names
    special: set[int]  # the ids of those that are frozen or tied


def slots_of(network: nn.Module, inside: set[int]) -> Slots:
    """Find parameters that have several names, and those that do not learn.

    Args:
        network: of one task.
        inside: the ids of what lies in a ``PerTask``.
    """
    first: dict[int, str] = {}
    tied: dict[str, str] = {}
    frozen: dict[str, nn.Parameter] = {}
    special: set[int] = set()
    for place, layer in network.named_modules():  # each once, however often it is held
        for name, value in layer.named_parameters(recurse=False, remove_duplicate=False):
            full, known = f"{place}.{name}".lstrip("."), id(value) in first
            require(
                id(value) not in inside or (value.requires_grad and not known),
                "network: parameters in a PerTask must learn and have one name each, found that "
                f"{full!r} is {'also ' + repr(first.get(id(value))) if known else 'frozen'}",
            )
            if known:
                tied[full] = first[id(value)]
            if not value.requires_grad:
                frozen[full] = value
            first.setdefault(id(value), full)
            if known or not value.requires_grad:
                special.add(id(value))
    return Slots({name: origin for name, origin in tied.items() if name not in frozen}, frozen, special)


def require_computable(network: nn.Module) -> None:
    """Raise :class:`~mtrl.errors.UsageError` for what tasks that are computed at once cannot have.

    Whatever changes its buffers, or draws, would do so once for all tasks.
    """
    types = {value.dtype for value in network.parameters()}
    require(
        len(types) <= 1,
        f"network: parameters must have one type, found {', '.join(sorted(map(str, types)))}; convert them, "
        "and choose lower precision by precision=bf16",
    )
    for place, layer in network.named_modules():
        name = f"{type(layer).__name__} {place!r}"
        require(
            not (isinstance(layer, _NormBase) and layer.training and layer.track_running_stats),
            f"network: layers must not keep running statistics, found {name}: buffers are constants here; "
            "use nn.LayerNorm, or track_running_stats=False, or call its eval()",
        )
        require(
            not getattr(layer, "sparse", False),
            f"network: gradients must be dense, found {name} with sparse=True; leave it out",
        )
        rate = layer.p if isinstance(layer, _DropoutNd) else getattr(layer, "dropout", 0.0)
        require(
            not (layer.training and isinstance(rate, float) and rate > 0),
            f"network: layers must not draw, found {name} with rate {rate}: the networks of all tasks are "
            "computed at once, and again when a run is resumed; leave dropout out, or call its eval()",
        )


def in_our_words(error: Exception) -> str | None:
    """What PyTorch's ``error`` means for who wrote the network, or None if it is no matter of many tasks."""
    text = str(error)
    if "randomness" in text:
        problem = "it draws numbers, as dropout does; leave that out"
    elif "mutate a captured Tensor" in text or "vmap: inplace" in text:
        problem = "it changes a buffer, which is a constant here; return new tensors"
    elif "output with shape" in text:
        problem = "it writes into a tensor of one task, as recurrent layers do; write them with linear layers"
    elif "saved tensor hooks" in text or "_NoopSaveInputs" in text:
        problem = "it holds a checkpoint of activations; leave that out, task_chunk saves memory too"
    elif "setup_context" in text or "vmap support" in text:
        problem = "it holds a Function for one task; give it setup_context and generate_vmap_rule = True"
    elif ".item() on a Tensor" in text or "data-dependent control flow" in text:
        problem = "it reads or branches on a number; use torch.where"
    else:
        return None
    return f"network: must be computable for all tasks at once (torch.func.vmap), but {problem}"
