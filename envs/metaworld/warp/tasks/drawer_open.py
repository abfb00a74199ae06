"""Pays for pulling a drawer open: drawer-open-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance

MAX_DIST = 0.2  # that the drawer opens


class DrawerOpen(Task):
    """drawer-open-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.drawer = model.body("drawer_link").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(moved(state.xpos[:, self.drawer], y=-0.16), state.xquat[:, self.drawer])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target = episode["_target_pos"]
        gripper = observation[:, :3]
        handle = observation[:, 4:7]
        handle_error = norm(handle - target)
        reward_for_opening = tolerance(handle_error, bounds=(0, 0.02), margin=MAX_DIST)
        handle_pos_init = moved(target, y=MAX_DIST)
        # A hand that comes from the side meets the handle, so that x and y count more.
        gripper_error = scaled(handle - gripper, 3, 3, 1)
        gripper_error_init = scaled(handle_pos_init - episode["init_tcp"], 3, 3, 1)
        reward_for_caging = tolerance(norm(gripper_error), bounds=(0, 0.01), margin=norm(gripper_error_init))
        return 5 * (reward_for_caging + reward_for_opening), handle_error <= 0.03
