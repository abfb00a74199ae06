"""Sets the simulator's options that a model file leaves open, and names the tasks that stay harder."""

from __future__ import annotations

from collections.abc import Sequence

SETTINGS = {
    "contacts_per_world": 64,  # places; worlds of a task share them all
    "constraint_rows_per_world": 256,  # places, in each world
    "boxes": "box_box",  # the routine for two boxes: MuJoCo's own, with up to 8 points, not the convex one
}

# Tasks whose scripted experts need longer than in C, where two boxes touch: what fewer steps than these show.
HARDER = {"disassemble-v3": (500, "its expert solves 3 of 10 goals in 200 steps, and 9 in MuJoCo's C code")}


def warning_of(names: Sequence[str], horizon: int) -> str | None:
    """What a person should know before training on tasks with a time limit; None for nothing."""
    known = [
        f"{name} ({reason}; with {steps} steps both solve all)"
        for name, (steps, reason) in HARDER.items()
        if name in names and horizon < steps
    ]
    return f"warning: harder in MuJoCo Warp than in the benchmark: {', '.join(known)}" if known else None
