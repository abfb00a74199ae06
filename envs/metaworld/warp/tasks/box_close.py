"""Pays for putting the lid on a box: box-close-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import (
    above_floor,
    funnel,
    hamacher_product,
    tolerance,
    turned_like,
)


class BoxClose(Task):
    """box-close-v3."""

    episode_attributes = ("_target_pos",)

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.lid = model.body("top_link").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.xpos[:, self.lid], state.xquat[:, self.lid])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target = episode["_target_pos"]
        reward_grab = (action[:, 3].clamp(-1.0, 1.0) + 1) / 2
        reward_quat = turned_like(observation[:, 7:11], (0.707, 0.0, 0.0, 0.707), slack=0.2)
        ready_to_lift, lifted = _reward_pos(observation, target)
        reward = 2 * hamacher_product(reward_grab, ready_to_lift) + 8 * lifted
        success = norm(observation[:, 4:7] - target) < 0.08
        return reward.masked_fill(success, 10.0) * reward_quat, success


def _reward_pos(observation: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    hand = observation[:, :3]
    lid = moved(observation[:, 4:7], z=0.02)
    # First the hand comes down on the lid from above ...
    floor = funnel(norm(hand[:, :2] - lid[:, :2]), 0.02, steepness=0.04, height=0.4)
    in_place = tolerance(norm(hand - lid), bounds=(0, 0.02), margin=0.5)
    ready_to_lift = hamacher_product(above_floor(hand[:, 2], floor, margin=floor / 2), in_place)
    # ... then it brings the lid to the box.
    pos_error = norm(scaled(target - lid, 1, 1, 3))
    lifted = 0.2 * (lid[:, 2] > 0.04) + 0.8 * tolerance(pos_error, bounds=(0, 0.05), margin=0.25)
    return ready_to_lift, lifted
