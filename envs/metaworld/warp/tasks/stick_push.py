"""Pays for pushing a box with a stick: stick-push-v3."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance

TARGET_RADIUS = 0.12


class StickPush(Task):
    """stick-push-v3, the only task whose success asks for the gripper's touch."""

    episode_attributes = (*Task.episode_attributes, "stick_init_pos")
    touched_geom = "objGeom"

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.stick = model.body("stick").id
        self.insertion = model.site("insertion").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        stick = (state.xpos[:, self.stick], quaternion(state.xmat[:, self.stick]))
        return padded(*stick, moved(state.site_xpos[:, self.insertion], y=0.09))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, stick_init = episode["_target_pos"], episode["stick_init_pos"]
        stick = moved(observation[:, 4:7], x=0.015)
        container = observation[:, 11:14]
        tcp_opened = observation[:, 3]
        tcp_to_stick = norm(stick - self.tcp_center(state))
        stick_in_place = tolerance(
            norm(stick - target),
            bounds=(0, TARGET_RADIUS),
            margin=norm(stick_init - target) - TARGET_RADIUS,
        )
        container_to_target = norm(container - target)
        container_in_place = tolerance(
            container_to_target,
            bounds=(0, TARGET_RADIUS),
            margin=norm(episode["obj_init_pos"] - target) - TARGET_RADIUS,
        )
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            stick,
            stick_init,
            obj_radius=0.04,
            pad_success_thresh=0.05,
            xz_thresh=0.01,
            high_density=True,
        )
        opened_and_lifted = (tcp_opened > 0) & (stick[:, 2] - 0.01 > stick_init[:, 2])
        held = (tcp_to_stick < 0.02) & opened_and_lifted
        at_target = container_to_target <= TARGET_RADIUS
        reward = torch.where(held, 2 + 5 * stick_in_place + 3 * container_in_place, object_grasped)
        assert state.touching is not None
        return reward.masked_fill(held & at_target, 10.0), state.touching & opened_and_lifted & at_target
