"""Pays for lifting a puck over a wall and bringing it to a place in the air: pick-place-wall-v3."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

TARGET_RADIUS = 0.05


class PickPlaceWall(Task):
    """pick-place-wall-v3."""

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
        x, y, z = target.unbind(-1)
        midpoint = torch.stack(
            (x, torch.full_like(y, 0.77), torch.full_like(z, 0.25)), dim=-1
        )  # above the wall
        tcp_to_obj = norm(obj - self.tcp_center(state))
        obj_to_target = norm(obj - target)
        in_place_part1 = tolerance(
            norm(scaled(obj - midpoint, 1, 1, 3)),
            bounds=(0, TARGET_RADIUS),
            margin=norm(scaled(obj_init - midpoint, 1, 1, 3)),
        )
        in_place_part2 = tolerance(obj_to_target, bounds=(0, TARGET_RADIUS), margin=norm(obj_init - target))
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.015,
            pad_success_thresh=0.05,
            xz_thresh=0.005,
        )
        lifted = (tcp_to_obj < 0.02) & (tcp_opened > 0) & (obj[:, 2] - 0.015 > obj_init[:, 2])
        over_the_wall = obj[:, 1] > 0.75
        on_the_way = torch.where(over_the_wall, 5 + 3 * in_place_part2, 1 + 4 * in_place_part1)
        reward = hamacher_product(object_grasped, in_place_part1) + lifted * on_the_way
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.07
