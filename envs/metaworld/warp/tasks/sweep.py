"""Pays for sweeping a block off the table: sweep-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import pinching_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

OBJ_RADIUS = 0.02
TARGET_RADIUS = 0.05


class Sweep(Task):
    """sweep-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.obj = model.body("obj").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.xpos[:, self.obj], state.xquat[:, self.obj])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        obj_to_target = norm(obj - target)
        in_place = tolerance(obj_to_target, bounds=(0, TARGET_RADIUS), margin=norm(obj_init - target))
        object_grasped = pinching_reward(
            self.gripper(state, episode),
            obj,
            obj_init,
            obj_radius=OBJ_RADIUS,
            grip_success_margin=OBJ_RADIUS + 0.01,
            xz_success_margin=0.005,
        )
        reward = 2 * object_grasped + 6 * hamacher_product(object_grasped, in_place)
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.05
