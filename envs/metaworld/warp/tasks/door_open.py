"""Pays for turning a door open by its handle: door-open-v3."""

from __future__ import annotations

from math import pi

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import above_floor, funnel, hamacher_product, tolerance


class DoorOpen(Task):
    """door-open-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.handle = model.geom("handle").id
        self.door_joint = model.joint("doorjoint").qposadr.item()

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.geom_xpos[:, self.handle], quaternion(state.geom_xmat[:, self.handle]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        reward_grab = (action[:, 3].clamp(-1.0, 1.0) + 1) / 2
        ready_to_open, opened = _reward_pos(observation, state.qpos[:, self.door_joint])
        reward = 2 * hamacher_product(ready_to_open, reward_grab) + 8 * opened
        success = (observation[:, 4] - episode["_target_pos"][:, 0]).abs() <= 0.08
        return reward.masked_fill(success, 10.0), success


def _reward_pos(observation: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    hand = observation[:, :3]
    door = moved(observation[:, 4:7], x=-0.05)
    threshold = 0.12
    # First the hand comes down on the handle from above ...
    floor = funnel(norm(hand[:, :2] - door[:, :2]), threshold, steepness=0.04, height=0.4)
    in_place = tolerance(
        norm(moved(hand - door, x=-0.05, y=-0.03, z=0.01)), bounds=(0, threshold / 2), margin=0.5
    )
    ready_to_open = hamacher_product(above_floor(hand[:, 2], floor, margin=floor / 2), in_place)
    # ... then it turns the door.
    door_angle = -theta
    opened = 0.2 * (theta < -pi / 90) + 0.8 * tolerance(
        pi / 2 + pi / 6 - door_angle, bounds=(0, 0.5), margin=pi / 3
    )
    return ready_to_open, opened
