"""Pays for pressing a button from the front, behind a wall: button-press-wall-v3."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode
from mtrl.envs.metaworld.warp.tasks.button_press import ButtonPress
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance


class ButtonPressWall(ButtonPress):
    """button-press-wall-v3: the same objects, another reward."""

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        obj = observation[:, 4:7]
        opening = observation[:, 3]
        tcp_to_obj = norm(obj - self.tcp_center(state))
        tcp_to_obj_init = norm(obj - episode["init_tcp"])
        obj_to_target = (episode["_target_pos"][:, 1] - obj[:, 1]).abs()
        near_button = tolerance(tcp_to_obj, bounds=(0, 0.01), margin=tcp_to_obj_init)
        button_pressed = tolerance(obj_to_target, bounds=(0, 0.005), margin=episode["_obj_to_target_init"])
        far = 2 * hamacher_product((1 - opening) / 2, near_button)
        near = 2 + 2 * (1 + opening) + 4 * button_pressed**2
        return torch.where(tcp_to_obj > 0.07, far, near), obj_to_target <= 0.03
