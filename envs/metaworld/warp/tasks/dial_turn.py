"""Pays for turning a dial: dial-turn-v3."""

from __future__ import annotations

import mujoco
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_closed
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm
from mtrl.envs.metaworld.warp.tasks.rewards import gaussian, hamacher_product, tolerance

TARGET_RADIUS = 0.07
DIAL_RADIUS = 0.05
REACH_RADIUS = 0.005


class DialTurn(Task):
    """dial-turn-v3."""

    episode_attributes = ("_target_pos", "init_tcp", "dial_push_position")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.dial = model.body("dial").id
        self.knob_joint = model.joint("knob_Joint_1").qposadr.item()

    def _knob(self, state: WorldState) -> Tensor:
        """Where the dial points to: [C, 3]."""
        angle = state.qpos[:, self.knob_joint]
        offset = torch.stack((angle.sin(), -angle.cos(), torch.zeros_like(angle)), dim=-1)
        return state.xpos[:, self.dial] + offset * DIAL_RADIUS

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(self._knob(state), state.xquat[:, self.dial])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target = episode["_target_pos"]
        obj = self._knob(state)
        dial_push_position = moved(obj, x=0.05, y=0.02, z=0.09)
        target_to_obj = norm(obj - target)
        target_to_obj_init = norm(episode["dial_push_position"] - target)
        in_place = tolerance(
            target_to_obj, bounds=(0, TARGET_RADIUS), margin=(target_to_obj_init - TARGET_RADIUS).abs()
        )
        tcp_to_obj = norm(dial_push_position - self.tcp_center(state))
        tcp_to_obj_init = norm(episode["dial_push_position"] - episode["init_tcp"])
        reach = tolerance(
            tcp_to_obj,
            bounds=(0, REACH_RADIUS),
            margin=(tcp_to_obj_init - REACH_RADIUS).abs(),
            sigmoid=gaussian,
        )
        reach = hamacher_product(reach, gripper_closed(action))
        return 10 * hamacher_product(reach, in_place), target_to_obj <= TARGET_RADIUS
