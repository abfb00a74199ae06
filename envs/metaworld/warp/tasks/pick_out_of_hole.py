"""Pays for lifting a puck out of a hole: pick-out-of-hole-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import above_floor, funnel, hamacher_product, tolerance

TARGET_RADIUS = 0.05


class PickOutOfHole(Task):
    """pick-out-of-hole-v3."""

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
        tcp = self.tcp_center(state)
        obj_to_target = norm(obj - target)
        tcp_to_obj = norm(obj - tcp)
        # The gripper has to stay above the rim until it is over the hole.
        floor = funnel(norm(tcp[:, :2] - obj_init[:, :2]), 0.03, steepness=0.015, height=0.15)
        above_rim = above_floor(tcp[:, 2], floor, margin=0.02)
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.015,
            pad_success_thresh=0.02,
            xz_thresh=0.03,
            desired_gripper_effort=0.1,
            high_density=True,
        )
        in_place = tolerance(obj_to_target, bounds=(0, 0.02), margin=norm(obj_init - target))
        reward = hamacher_product(object_grasped, in_place)
        near_object = tcp_to_obj < 0.04
        pinched_without_obj = observation[:, 3] < 0.33
        lifted = obj[:, 2] - 0.02 > obj_init[:, 2]
        grasp_success = near_object & lifted & ~pinched_without_obj
        reward = reward + grasp_success * (1 + 5 * hamacher_product(in_place, above_rim))
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.07
