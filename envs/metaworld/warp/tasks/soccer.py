"""Pays for kicking a ball into a goal: soccer-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import pinching_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance

OBJ_RADIUS = 0.013
TARGET_RADIUS = 0.07


class Soccer(Task):
    """soccer-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.ball = model.body("soccer_ball").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.xpos[:, self.ball], quaternion(state.xmat[:, self.ball]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        target_to_obj = norm(scaled(obj - target, 3, 1, 1))
        # Not the distance at the start: how far the ball has come.
        target_to_obj_init = norm(scaled(obj - obj_init, 3, 1, 1))
        in_place = tolerance(target_to_obj, bounds=(0, TARGET_RADIUS), margin=target_to_obj_init)
        # Behind the goal line but beside the goal it counts less and less.
        goal_line = target[:, 1] - 0.1
        behind = (obj[:, 1] - goal_line) / (1 - goal_line)
        beside_goal = (obj[:, 1] > goal_line) & ((obj - target)[:, 0].abs() > 0.1)
        in_place = (in_place - beside_goal * (2 * behind)).clamp(0.0, 1.0)
        object_grasped = pinching_reward(
            self.gripper(state, episode),
            obj,
            obj_init,
            obj_radius=OBJ_RADIUS,
            grip_success_margin=OBJ_RADIUS + 0.01,
            xz_success_margin=0.005,
        )
        reward = 3 * object_grasped + 6.5 * in_place
        return reward.masked_fill(target_to_obj < TARGET_RADIUS, 10.0), norm(obj - target) <= 0.07
