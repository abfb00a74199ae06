"""Pays for lifting a puck and bringing it to a place in the air: pick-place-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import Gripper, caging_xz, gripper_closed, pads_around
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

TARGET_RADIUS = 0.05


class PickPlace(Task):
    """pick-place-v3."""

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
        obj_to_target = norm(obj - target)
        tcp_to_obj = norm(obj - self.tcp_center(state))
        in_place = tolerance(obj_to_target, bounds=(0, TARGET_RADIUS), margin=norm(obj_init - target))
        object_grasped = _gripper_caging_reward(self.gripper(state, episode), action, obj, obj_init)
        reward = hamacher_product(object_grasped, in_place)
        lifted = (tcp_to_obj < 0.02) & (tcp_opened > 0) & (obj[:, 2] - 0.01 > obj_init[:, 2])
        reward = reward + lifted * (1 + 5 * in_place)
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.07


def _gripper_caging_reward(gripper: Gripper, action: Tensor, obj: Tensor, obj_init: Tensor) -> Tensor:
    y_caging = pads_around(gripper, obj, bounds=(0.015, 0.05))
    caging = hamacher_product(y_caging, caging_xz(gripper, obj, obj_init, 0.005))
    gripping = gripper_closed(action).masked_fill(caging <= 0.97, 0.0)
    return (hamacher_product(caging, gripping) + caging) / 2
