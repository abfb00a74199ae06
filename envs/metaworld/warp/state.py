"""Names what the tasks read of the simulation, as tensors that share the simulator's memory."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class WorldState:
    """Holds the state of one task's C worlds, as MuJoCo names it."""

    qpos: Tensor  # [C, nq]
    qvel: Tensor  # [C, nv]
    xpos: Tensor  # [C, nbody, 3]
    xquat: Tensor  # [C, nbody, 4]
    xmat: Tensor  # [C, nbody, 3, 3]
    geom_xpos: Tensor  # [C, ngeom, 3]
    geom_xmat: Tensor  # [C, ngeom, 3, 3]
    site_xpos: Tensor  # [C, nsite, 3]
    site_xmat: Tensor  # [C, nsite, 3, 3]
    mocap_pos: Tensor  # [C, 3]
    touching: Tensor | None = None  # [C] bool: both pads press on the task's `touched_geom`, if any
