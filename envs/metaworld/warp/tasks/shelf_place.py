"""Pays for putting a puck on a shelf: shelf-place-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

TARGET_RADIUS = 0.05


class ShelfPlace(Task):
    """shelf-place-v3."""

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
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.02,
            pad_success_thresh=0.05,
            xz_thresh=0.01,
        )
        reward = hamacher_product(object_grasped, in_place)
        in_place = _off_the_shelf(in_place, obj, target)
        lifted = (tcp_to_obj < 0.025) & (tcp_opened > 0) & (obj[:, 2] - 0.01 > obj_init[:, 2])
        reward = reward + lifted * (1 + 5 * in_place)
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.07


def _off_the_shelf(in_place: Tensor, obj: Tensor, target: Tensor) -> Tensor:
    """Pay less where the puck is below the shelf: less and less before it, nothing under it."""
    x, y, z = obj.unbind(-1)
    low = (z > 0) & (z < 0.24) & (target[:, 0] - 0.15 < x) & (x < target[:, 0] + 0.15)
    depth = 3 * TARGET_RADIUS
    before = low & (target[:, 1] - depth < y) & (y < target[:, 1])
    z_scaling = (0.24 - z) / 0.24
    y_scaling = (y - (target[:, 1] - depth)) / depth
    bound_loss = hamacher_product(y_scaling, z_scaling).masked_fill(~before, 0.0)
    return (in_place - bound_loss).clamp(0.0, 1.0).masked_fill(low & (y > target[:, 1]), 0.0)
