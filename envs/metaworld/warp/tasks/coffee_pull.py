"""Pays for pulling a mug away from a coffee machine: coffee-pull-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance


class CoffeePull(Task):
    """coffee-pull-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.obj = model.body("obj").id
        self.mug = model.geom("mug").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.xpos[:, self.obj], quaternion(state.geom_xmat[:, self.mug]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        tcp_opened = observation[:, 3]
        # The mug has to go across the table rather than up.
        target_to_obj = norm(scaled(obj - target, 2, 2, 1))
        target_to_obj_init = norm(scaled(obj_init - target, 2, 2, 1))
        in_place = tolerance(target_to_obj, bounds=(0, 0.05), margin=target_to_obj_init)
        tcp_to_obj = norm(obj - self.tcp_center(state))
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.02,
            pad_success_thresh=0.05,
            xz_thresh=0.05,
            desired_gripper_effort=0.7,
            object_reach_radius=0.04,
        )
        reward = hamacher_product(object_grasped, in_place)
        reward = reward + ((tcp_to_obj < 0.04) & (tcp_opened > 0)) * (1 + 5 * in_place)
        return reward.masked_fill(target_to_obj < 0.05, 10.0), norm(obj - target) <= 0.07
