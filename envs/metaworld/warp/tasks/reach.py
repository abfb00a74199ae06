"""Pays for bringing the gripper to a place: reach-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance


class Reach(Task):
    """reach-v3."""

    episode_attributes = ("_target_pos", "hand_init_pos")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.obj = model.body("obj").id
        self.obj_geom = model.geom("objGeom").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.xpos[:, self.obj], quaternion(state.geom_xmat[:, self.obj_geom]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target = episode["_target_pos"]
        tcp_to_target = norm(self.tcp_center(state) - target)
        in_place_margin = norm(episode["hand_init_pos"] - target)
        in_place = tolerance(tcp_to_target, bounds=(0, 0.05), margin=in_place_margin)
        return 10 * in_place, tcp_to_target <= 0.05
