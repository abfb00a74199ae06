"""Keeps the state of PyTorch's generators in a checkpoint, and brings it back where it fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mtrl.devices import global_rng_state, set_global_rng_state

KEYS = ("generator", "global_rng")  # of a checkpoint
STATE_SIZES = {"cpu": 5056, "cuda": 16}  # bytes of a generator's state, by the kind of its device


def generator_states(generator: torch.Generator, device: torch.device) -> dict[str, Any]:
    """The states of the run's generator and of PyTorch's own on ``device``."""
    return dict(zip(KEYS, (generator.get_state(), global_rng_state(device)), strict=True))


def load_generator_states(
    state: dict[str, Any],
    generator: torch.Generator,
    device: torch.device,
    step: int,
    say: Callable[[str], None],
) -> None:
    """Load what :func:`generator_states` returned; on another kind of device numbers start anew.

    Args:
        state: has their entries.
        generator: the run's, which still knows its seed.
        device: where it lives.
        step: of the checkpoint.
        say: told where the states are of another kind of device.
    """
    saved, own = state[KEYS[0]].cpu(), generator.get_state()
    others = [kind for kind in STATE_SIZES.values() if kind != own.numel()]
    if saved.numel() not in others:  # a damaged one is refused by the generator
        generator.set_state(saved)
        set_global_rng_state(device, state[KEYS[1]].cpu())
        return
    seed = int(np.random.SeedSequence([generator.initial_seed(), step]).generate_state(1)[0])
    generator.manual_seed(seed)
    torch.manual_seed(seed)
    say(
        f"the checkpoint was written on another kind of device than {device.type}, whose random generators "
        "differ: random numbers start anew from the seed and the step"
    )
