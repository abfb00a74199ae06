"""Pays for pushing a door shut: door-close-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import gaussian, tolerance

TARGET_RADIUS = 0.05


class DoorClose(Task):
    """door-close-v3."""

    episode_attributes = ("_target_pos", "obj_init_pos", "hand_init_pos")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.handle = model.geom("handle").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.geom_xpos[:, self.handle], quaternion(state.geom_xmat[:, self.handle]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target = episode["_target_pos"]
        obj = observation[:, 4:7]
        tcp_to_target = norm(self.tcp_center(state) - target)
        obj_to_target = norm(obj - target)
        in_place = tolerance(
            obj_to_target,
            bounds=(0, TARGET_RADIUS),
            margin=norm(episode["obj_init_pos"] - target),
            sigmoid=gaussian,
        )
        hand_in_place = tolerance(
            tcp_to_target,
            bounds=(0, 0.25 * TARGET_RADIUS),
            margin=norm(episode["hand_init_pos"] - obj) + 0.1,
            sigmoid=gaussian,
        )
        reward = 3 * hand_in_place + 6 * in_place
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.08
