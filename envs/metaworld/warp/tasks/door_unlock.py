"""Pays for turning a door's lock aside: door-unlock-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance

LOCK_LENGTH = 0.1


class DoorUnlock(Task):
    """door-unlock-v3."""

    episode_attributes = ("_target_pos", "init_tcp")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.lock = model.site("lockStartUnlock").id
        self.lock_link = model.body("lock_link").id
        self.door = model.body("door_link").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.site_xpos[:, self.lock], state.xquat[:, self.door])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        gripper = observation[:, :3]
        lock = observation[:, 4:7]
        # The library means the lock at the start, but its obj_init_pos is the lock as it is now.
        obj_init = state.xpos[:, self.lock_link]
        # From the gripper's shoulder, a bit behind and above the hand.
        shoulder_to_lock = scaled(moved(gripper - lock, y=0.055, z=0.07), 0.25, 1, 0.5)
        shoulder_to_lock_init = scaled(moved(episode["init_tcp"] - obj_init, y=0.055, z=0.07), 0.25, 1, 0.5)
        ready_to_push = tolerance(
            norm(shoulder_to_lock), bounds=(0, 0.02), margin=norm(shoulder_to_lock_init)
        )
        obj_to_target = (episode["_target_pos"][:, 0] - lock[:, 0]).abs()
        pushed = tolerance(obj_to_target, bounds=(0, 0.005), margin=LOCK_LENGTH)
        return 2 * ready_to_push + 8 * pushed, obj_to_target <= 0.02
