"""Explains numbers of an environment that are no longer finite."""

from __future__ import annotations

from mtrl.types import FloatArray


def nonfinite_action(action: FloatArray, where: str) -> FloatingPointError:
    """For an action [A] that is not finite: MuJoCo would reset the simulation in silence and go on."""
    return FloatingPointError(
        f"{where}: the action must be finite, found {action.tolist()}; the policy has diverged, "
        "look at its losses and try a smaller learning rate"
    )


def nonfinite_reward(reward: float, where: str) -> FloatingPointError:
    """For a reward that is not finite."""
    return FloatingPointError(
        f"{where}: the reward must be finite, in float32 too, found {reward}; the task broke"
    )
