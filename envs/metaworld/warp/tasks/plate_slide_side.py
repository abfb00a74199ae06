"""Pays for sliding a plate into a cabinet at the side: plate-slide-side-v3."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.plate_slide import TARGET_RADIUS, PlateSlide
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance


class PlateSlideSide(PlateSlide):
    """plate-slide-side-v3: the objects of plate-slide-v3, another reward."""

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        tcp = self.tcp_center(state)
        obj_to_target = norm(obj - target)
        in_place = tolerance(
            obj_to_target, bounds=(0, TARGET_RADIUS), margin=norm(obj_init - target) - TARGET_RADIUS
        )
        tcp_to_obj = norm(tcp - obj)
        object_grasped = tolerance(
            tcp_to_obj,
            bounds=(0, TARGET_RADIUS),
            margin=norm(episode["init_tcp"] - obj_init) - TARGET_RADIUS,
        )
        on_the_plate = (tcp[:, 2] <= 0.03) & (tcp_to_obj < 0.07)
        reward = torch.where(on_the_plate, 2 + 7 * in_place, 1.5 * object_grasped)
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.07
