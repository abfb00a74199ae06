"""Pays for sliding a plate into a cabinet: plate-slide-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

TARGET_RADIUS = 0.05


class PlateSlide(Task):
    """plate-slide-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.puck = model.geom("puck").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.geom_xpos[:, self.puck], quaternion(state.geom_xmat[:, self.puck]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        obj_to_target = norm(obj - target)
        in_place = tolerance(obj_to_target, bounds=(0, TARGET_RADIUS), margin=norm(obj_init - target))
        object_grasped = tolerance(
            norm(self.tcp_center(state) - obj),
            bounds=(0, TARGET_RADIUS),
            margin=norm(episode["init_tcp"] - obj_init),
        )
        reward = 8 * hamacher_product(object_grasped, in_place)
        return reward.masked_fill(obj_to_target < TARGET_RADIUS, 10.0), obj_to_target <= 0.07
