"""Pays for pulling a box by its handle with a stick: stick-pull-v3."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm, quaternion, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

TARGET_RADIUS = 0.05


class StickPull(Task):
    """stick-pull-v3."""

    episode_attributes = (*Task.episode_attributes, "stick_init_pos")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.stick = model.body("stick").id
        self.insertion = model.site("insertion").id
        self.stick_end = model.site("stick_end").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        stick = (state.xpos[:, self.stick], quaternion(state.xmat[:, self.stick]))
        return padded(*stick, state.site_xpos[:, self.insertion])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, stick_init = episode["_target_pos"], episode["stick_init_pos"]
        stick = observation[:, 4:7]
        handle = observation[:, 11:14]
        container = moved(handle, x=0.05)
        container_init = moved(episode["obj_init_pos"], x=0.05)
        tcp_opened = observation[:, 3]
        tcp_to_stick = norm(stick - self.tcp_center(state))
        handle_to_target = norm(handle - target)
        stick_in_place = tolerance(
            norm(scaled(stick - container, 1, 1, 2)),
            bounds=(0, TARGET_RADIUS),
            margin=norm(scaled(stick_init - container_init, 1, 1, 2)),
        )
        stick_in_place_2 = tolerance(
            norm(stick - target), bounds=(0, TARGET_RADIUS), margin=norm(stick_init - target)
        )
        container_in_place = tolerance(
            norm(container - target),
            bounds=(0, TARGET_RADIUS),
            margin=norm(episode["obj_init_pos"] - target),
        )
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            stick,
            episode["obj_init_pos"],
            obj_radius=0.014,
            pad_success_thresh=0.05,
            xz_thresh=0.01,
            high_density=True,
        )
        lifted = stick[:, 2] - 0.01 > stick_init[:, 2]
        grasp_success = (tcp_to_stick < 0.02) & (tcp_opened > 0) & lifted
        object_grasped = object_grasped.masked_fill(grasp_success, 1.0)
        inserted = _stick_is_inserted(handle, state.site_xpos[:, self.stick_end])
        at_target = inserted & (handle_to_target <= 0.12)
        on_the_way = torch.where(
            inserted, 6 + 2 * stick_in_place_2 + container_in_place, 1 + 5 * stick_in_place
        )
        reward = hamacher_product(object_grasped, stick_in_place) + grasp_success * on_the_way
        return reward.masked_fill(grasp_success & at_target, 10.0), at_target


def _stick_is_inserted(handle: Tensor, end_of_stick: Tensor) -> Tensor:
    x, y, z = (end_of_stick - handle).unbind(-1)
    return (x >= 0) & (y.abs() <= 0.04) & (z.abs() <= 0.06)
