"""Says what a checkpoint holds of a trainer besides the transitions, and loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from mtrl.errors import require
from mtrl.training.randomness import generator_states, load_generator_states

if TYPE_CHECKING:
    from mtrl.training.trainer import Trainer

COUNTERS = {  # attributes, by their names in a checkpoint
    "step": "step",
    "updates": "updates",
    "owed": "updates_due",
    "refilled": "steps_since_refill",
    "evaluated": "evaluated",
    "success": "success",
}


def state_of(trainer: Trainer) -> dict[str, Any]:
    """Everything but the transitions."""
    return {
        "agent": trainer.agent.state_dict(),
        "exploration": trainer.exploration.state_dict(),
        **{name: getattr(trainer, attribute) for name, attribute in COUNTERS.items()},
        "guard": trainer.guard.state_dict(),
        "env": tree_map_only(np.ndarray, torch.from_numpy, trainer.env.state_dict()),
        "obs": None if trainer.obs is None else torch.as_tensor(trainer.obs).clone(),
        "episodes": trainer.episodes.state_dict(),
        "logger": trainer.logger.state_dict(),
        **generator_states(trainer.generator, trainer.device),
        "rng": trainer.rng.bit_generator.state,
    }


def load_state(trainer: Trainer, state: dict[str, Any]) -> None:
    """Load what :func:`state_of` returned; the replay is filled already."""
    trainer.agent.load_state_dict(state["agent"])
    if "exploration" in state:  # older checkpoints have none
        trainer.exploration.load_state_dict(state["exploration"])
    for name, attribute in COUNTERS.items():
        value = state[name]
        valid = isinstance(value, int | float) or (name == "success" and value is None)
        require(valid, f"{name} must be a number, found {value!r}")
        setattr(trainer, attribute, value)
    owed = trainer.updates_due
    require(0 <= owed < 1, f"owed must be a fraction of an update, found {owed}")
    if trainer.replay.size == 0:
        trainer.steps_since_refill = 0
    trainer.guard.load_state_dict(state["guard"])
    trainer.episodes.load_state_dict(state["episodes"])
    trainer.logger.load_state_dict(state["logger"], trainer.step)
    load_generator_states(state, trainer.generator, trainer.device, trainer.step, trainer.display.message)
    trainer.rng.bit_generator.state = state["rng"]
    trainer.obs = trainer.env.load_state_dict(_as_arrays(state["env"]))


def _as_arrays(state: Any) -> Any:
    """A pytree with host arrays for its tensors."""
    return tree_map_only(Tensor, lambda tensor: tensor.cpu().numpy(), state)
