"""Pays for putting a wrench over a peg: assembly-v3."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance, turned_like, within_handle

WRENCH_HANDLE_LENGTH = 0.02


class Assembly(Task):
    """assembly-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.nut = model.body("RoundNut").id
        self.nut_center = model.site("RoundNut").id
        self.handle = model.site("RoundNut-8").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.site_xpos[:, self.handle], state.xquat[:, self.nut])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        wrench = within_handle(observation[:, 4:7], observation[:, 0], WRENCH_HANDLE_LENGTH / 2)
        reward_quat = turned_like(observation[:, 7:11], (0.707, 0.0, 0.0, 0.707), slack=0.4)
        reward_grab = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            wrench,
            episode["obj_init_pos"],
            obj_radius=0.015,
            pad_success_thresh=0.02,
            xz_thresh=0.01,
            object_reach_radius=0.01,
        )
        reward_in_place, success = _reward_pos(state.site_xpos[:, self.nut_center], episode["_target_pos"])
        reward = (2 * reward_grab + 6 * reward_in_place) * reward_quat
        return reward.masked_fill(success, 10.0), success


def _reward_pos(wrench_center: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    x, y, z = (target - wrench_center).unbind(-1)
    height = wrench_center[:, 2]
    radius = torch.sqrt(x**2 + y**2)
    success = (radius < 0.02) & (z > 0)
    threshold = 0.01 + 0.01 * success
    # A funnel that leads the wrench up, over the peg and down.
    target_height = 0.02 * torch.log(radius - threshold) + 0.2
    target_height = target_height.masked_fill(radius <= threshold, 0.0)
    pos_error = torch.stack((x, y, 3 * (target_height - height)), dim=-1)
    lifted = (height > 0.02) | (radius < threshold)
    return 0.1 * lifted + 0.9 * tolerance(norm(pos_error), bounds=(0, 0.02), margin=0.4), success
