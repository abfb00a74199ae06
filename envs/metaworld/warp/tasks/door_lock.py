"""Pays for turning a door's lock down: door-lock-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import norm, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

LOCK_LENGTH = 0.1


class DoorLock(Task):
    """door-lock-v3."""

    episode_attributes = ("_target_pos",)

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.lock = model.site("lockStartLock").id
        self.door = model.body("door_link").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.site_xpos[:, self.lock], state.xquat[:, self.door])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        obj = observation[:, 4:7]
        tcp_to_obj = norm(scaled(obj - state.xpos[:, self.left_pad], 0.25, 1, 0.5))
        # The library means the pad at the start, but its init_left_pad is the pad as it is now.
        tcp_to_obj_init = tcp_to_obj
        obj_to_target = (episode["_target_pos"][:, 2] - obj[:, 2]).abs()
        tcp_opened = observation[:, 3].clamp(min=0.0)
        near_lock = tolerance(tcp_to_obj, bounds=(0, 0.01), margin=tcp_to_obj_init)
        lock_pressed = tolerance(obj_to_target, bounds=(0, 0.005), margin=LOCK_LENGTH)
        return 2 * hamacher_product(tcp_opened, near_lock) + 8 * lock_pressed, obj_to_target <= 0.02
