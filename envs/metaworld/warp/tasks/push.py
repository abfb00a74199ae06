"""Pays for pushing a puck to a place on the table: push-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance

TARGET_RADIUS = 0.05


class Push(Task):
    """push-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.obj = model.body("obj").id
        self.obj_geom = model.geom("objGeom").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.xpos[:, self.obj], quaternion(state.geom_xmat[:, self.obj_geom]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        tcp_opened = observation[:, 3]
        tcp_to_obj = norm(obj - self.tcp_center(state))
        target_to_obj = norm(obj - target)
        in_place = tolerance(target_to_obj, bounds=(0, TARGET_RADIUS), margin=norm(obj_init - target))
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.015,
            pad_success_thresh=0.05,
            xz_thresh=0.005,
            high_density=True,
        )
        reward = 2 * object_grasped
        held = (tcp_to_obj < 0.02) & (tcp_opened > 0)
        reward = reward + held * (1 + reward + 5 * in_place)
        return reward.masked_fill(target_to_obj < TARGET_RADIUS, 10.0), target_to_obj <= TARGET_RADIUS
