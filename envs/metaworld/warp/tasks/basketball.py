"""Pays for throwing a ball into a basket: basketball-v3."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

TARGET_RADIUS = 0.08


class Basketball(Task):
    """basketball-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.ball = model.body("bsktball").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.xpos[:, self.ball], state.xquat[:, self.ball])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        obj_init = episode["obj_init_pos"]
        obj = observation[:, 4:7]
        tcp_opened = observation[:, 3]
        x, y, z = episode["_target_pos"].unbind(-1)
        target = torch.stack((x, y, torch.full_like(z, 0.3)), dim=-1)  # just above the hoop
        target_to_obj = norm(scaled(obj - target, 1, 1, 2))
        target_to_obj_init = norm(scaled(obj_init - target, 1, 1, 2))
        in_place = tolerance(target_to_obj, bounds=(0, TARGET_RADIUS), margin=target_to_obj_init)
        tcp_to_obj = norm(obj - self.tcp_center(state))
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.025,
            pad_success_thresh=0.06,
            xz_thresh=0.005,
            high_density=True,
        )
        lifted = (tcp_to_obj < 0.035) & (tcp_opened > 0) & (obj[:, 2] - 0.01 > obj_init[:, 2])
        object_grasped = object_grasped.masked_fill(lifted, 1.0)
        reward = hamacher_product(object_grasped, in_place) + lifted * (1 + 5 * in_place)
        return reward.masked_fill(target_to_obj < TARGET_RADIUS, 10.0), target_to_obj <= TARGET_RADIUS
