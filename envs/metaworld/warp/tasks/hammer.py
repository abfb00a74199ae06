"""Pays for driving a nail in with a hammer: hammer-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance, turned_like, within_handle

HAMMER_HANDLE_LENGTH = 0.14


class Hammer(Task):
    """hammer-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.hammer = model.body("hammer").id
        self.nail = model.body("nail_link").id
        self.nail_joint = model.joint("NailSlideJoint").qposadr.item()

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        hammer = (state.xpos[:, self.hammer], state.xquat[:, self.hammer])
        return padded(*hammer, state.xpos[:, self.nail], state.xquat[:, self.nail])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        hammer = observation[:, 4:7]
        hammer_head = moved(hammer, x=0.16, y=0.06)
        reward_quat = turned_like(observation[:, 7:11], (1.0, 0.0, 0.0, 0.0), slack=0.4)
        reward_grab = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            within_handle(hammer, observation[:, 0], HAMMER_HANDLE_LENGTH / 2),
            episode["obj_init_pos"],
            obj_radius=0.015,
            pad_success_thresh=0.02,
            xz_thresh=0.01,
            high_density=True,
        )
        head_to_nail = norm(episode["_target_pos"] - hammer_head)
        lifted = hammer_head[:, 2] > 0.02
        reward_in_place = 0.1 * lifted + 0.9 * tolerance(head_to_nail, bounds=(0, 0.02), margin=0.2)
        reward = (2 * reward_grab + 6 * reward_in_place) * reward_quat
        success = state.qpos[:, self.nail_joint] > 0.09
        return reward.masked_fill(success & (reward > 5), 10.0), success
