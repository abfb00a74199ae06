"""Pays for sweeping a block into a hole: sweep-into-v3."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import pinching_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

OBJ_RADIUS = 0.02
TARGET_RADIUS = 0.05


class SweepInto(Task):
    """sweep-into-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.obj = model.body("obj").id
        self.obj_geom = model.geom("objGeom").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.xpos[:, self.obj], quaternion(state.geom_xmat[:, self.obj_geom]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        obj_init = episode["obj_init_pos"]
        obj = observation[:, 4:7]
        # How deep the block has fallen does not matter.
        target = torch.cat((episode["_target_pos"][:, :2], obj[:, 2:]), dim=-1)
        obj_to_target = norm(obj - target)
        in_place = tolerance(obj_to_target, bounds=(0, TARGET_RADIUS), margin=norm(obj_init - target))
        object_grasped = pinching_reward(
            self.gripper(state, episode),
            obj,
            obj_init,
            obj_radius=OBJ_RADIUS,
            grip_success_margin=OBJ_RADIUS + 0.005,
            xz_success_margin=0.01,
        )
        reward = 2 * object_grasped + 6 * hamacher_product(object_grasped, in_place)
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.05
