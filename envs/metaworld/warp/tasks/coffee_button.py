"""Pays for pressing the button of a coffee machine: coffee-button-v3."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

MAX_DIST = 0.03  # that the button gives way


class CoffeeButton(Task):
    """coffee-button-v3."""

    episode_attributes = ("_target_pos", "init_tcp")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.button = model.site("buttonStart").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        button = state.site_xpos[:, self.button]
        return padded(button, torch.ones_like(button[:, :1]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        obj = observation[:, 4:7]
        tcp_to_obj = norm(obj - self.tcp_center(state))
        tcp_to_obj_init = norm(obj - episode["init_tcp"])
        obj_to_target = (episode["_target_pos"][:, 1] - obj[:, 1]).abs()
        tcp_closed = observation[:, 3].clamp(min=0.0)
        near_button = tolerance(tcp_to_obj, bounds=(0, 0.05), margin=tcp_to_obj_init)
        button_pressed = tolerance(obj_to_target, bounds=(0, 0.005), margin=MAX_DIST)
        reward = 2 * hamacher_product(tcp_closed, near_button)
        reward = reward + (tcp_to_obj <= 0.05) * (8 * button_pressed)
        return reward, obj_to_target <= 0.02
