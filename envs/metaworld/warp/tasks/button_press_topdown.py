"""Pays for pressing a button from above: button-press-topdown-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance


class ButtonPressTopdown(Task):
    """button-press-topdown-v3."""

    episode_attributes = ("_target_pos", "init_tcp", "_obj_to_target_init")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.button = model.body("button").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(moved(state.xpos[:, self.button], z=0.193), state.xquat[:, self.button])

    def closing(self, observation: Tensor) -> Tensor:
        """How far the gripper is closed: [C]."""
        return 1 - observation[:, 3]

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        obj = observation[:, 4:7]
        tcp_to_obj = norm(obj - self.tcp_center(state))
        tcp_to_obj_init = norm(obj - episode["init_tcp"])
        obj_to_target = (episode["_target_pos"][:, 2] - obj[:, 2]).abs()
        near_button = tolerance(tcp_to_obj, bounds=(0, 0.01), margin=tcp_to_obj_init)
        button_pressed = tolerance(obj_to_target, bounds=(0, 0.005), margin=episode["_obj_to_target_init"])
        reward = 5 * hamacher_product(self.closing(observation), near_button)
        reward = reward + (tcp_to_obj <= 0.03) * (5 * button_pressed)
        return reward, obj_to_target <= 0.024
