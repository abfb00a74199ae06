"""Pays for pulling a puck back across the table: push-back-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import pinching_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

OBJ_RADIUS = 0.007
TARGET_RADIUS = 0.05


class PushBack(Task):
    """push-back-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.obj_geom = model.geom("objGeom").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.geom_xpos[:, self.obj_geom], quaternion(state.geom_xmat[:, self.obj_geom]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        tcp_opened = observation[:, 3]
        tcp_to_obj = norm(obj - self.tcp_center(state))
        target_to_obj = norm(obj - target)
        target_to_obj_init = norm(obj_init - target)
        in_place = tolerance(target_to_obj, bounds=(0, TARGET_RADIUS), margin=target_to_obj_init)
        object_grasped = pinching_reward(
            self.gripper(state, episode),
            obj,
            obj_init,
            obj_radius=OBJ_RADIUS,
            grip_success_margin=OBJ_RADIUS + 0.003,
            xz_success_margin=0.01,
        )
        reward = hamacher_product(object_grasped, in_place)
        held = (tcp_to_obj < 0.01) & (tcp_opened > 0) & (tcp_opened < 0.55)
        on_the_way = held & (target_to_obj_init - target_to_obj > 0.01)
        reward = reward + on_the_way * (1 + 5 * in_place)
        return reward.masked_fill(target_to_obj < TARGET_RADIUS, 10.0), target_to_obj <= 0.07
