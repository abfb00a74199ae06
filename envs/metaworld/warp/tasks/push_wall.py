"""Pays for pushing a puck around a wall to a place on the table: push-wall-v3."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance

TARGET_RADIUS = 0.05


class PushWall(Task):
    """push-wall-v3."""

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
        x, y, z = obj.unbind(-1)
        midpoint = torch.stack(
            (torch.full_like(x, -0.05), torch.full_like(y, 0.77), z), dim=-1
        )  # beside the wall
        tcp_to_obj = norm(obj - self.tcp_center(state))
        obj_to_target = norm(obj - target)
        in_place_part1 = tolerance(
            norm(scaled(obj - midpoint, 3, 1, 1)),
            bounds=(0, TARGET_RADIUS),
            margin=norm(scaled(obj_init - midpoint, 3, 1, 1)),
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
            high_density=True,
        )
        held = (tcp_to_obj < 0.02) & (tcp_opened > 0)
        past_the_wall = obj[:, 1] > 0.75
        on_the_way = torch.where(past_the_wall, 5 + 3 * in_place_part2, 1 + 4 * in_place_part1)
        reward = 2 * object_grasped + held * on_the_way
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.07
