"""Pays for pushing a drawer shut: drawer-close-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_closed
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm
from mtrl.envs.metaworld.warp.tasks.rewards import gaussian, hamacher_product, tolerance

TARGET_RADIUS = 0.05
REACH_RADIUS = 0.005


class DrawerClose(Task):
    """drawer-close-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.drawer = model.body("drawer_link").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(moved(state.xpos[:, self.drawer], y=-0.16, z=0.05))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        target_to_obj = norm(obj - target)
        target_to_obj_init = norm(obj_init - target)
        in_place = tolerance(
            target_to_obj, bounds=(0, TARGET_RADIUS), margin=(target_to_obj_init - TARGET_RADIUS).abs()
        )
        tcp_to_obj = norm(obj - self.tcp_center(state))
        tcp_to_obj_init = norm(obj_init - episode["init_tcp"])
        reach = tolerance(
            tcp_to_obj,
            bounds=(0, REACH_RADIUS),
            margin=(tcp_to_obj_init - REACH_RADIUS).abs(),
            sigmoid=gaussian,
        )
        reach = hamacher_product(reach, gripper_closed(action))
        success = target_to_obj <= TARGET_RADIUS + 0.015
        return 10 * hamacher_product(reach, in_place).masked_fill(success, 1.0), success
