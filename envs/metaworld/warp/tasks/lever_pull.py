"""Pays for pulling a lever up: lever-pull-v3."""

from __future__ import annotations

from math import pi

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm, quaternion, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance


class LeverPull(Task):
    """lever-pull-v3."""

    episode_attributes = ("_target_pos", "init_tcp", "_lever_pos_init")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.lever = model.site("leverStart").id
        self.lever_geom = model.geom("objGeom").id
        self.lever_joint = model.joint("LeverAxis").qposadr.item()

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.site_xpos[:, self.lever], quaternion(state.geom_xmat[:, self.lever_geom]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, lever_init = episode["_target_pos"], episode["_lever_pos_init"]
        gripper = observation[:, :3]
        lever = observation[:, 4:7]
        # From the gripper's shoulder, a bit behind and above the hand.
        shoulder_to_lever = scaled(moved(gripper - lever, y=0.055, z=0.07), 4, 1, 4)
        shoulder_to_lever_init = scaled(moved(episode["init_tcp"] - lever_init, y=0.055, z=0.07), 4, 1, 4)
        ready_to_lift = tolerance(
            norm(shoulder_to_lever), bounds=(0, 0.02), margin=norm(shoulder_to_lever_init)
        )
        in_place = tolerance(norm(lever - target), bounds=(0, 0.04), margin=norm(lever_init - target))
        lever_angle = -state.qpos[:, self.lever_joint]
        lever_error = (lever_angle - pi / 2).abs()
        return 10 * hamacher_product(ready_to_lift, in_place), lever_error <= pi / 24
