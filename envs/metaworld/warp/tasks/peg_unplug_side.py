"""Pays for pulling a plug out of a socket: peg-unplug-side-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance


class PegUnplugSide(Task):
    """peg-unplug-side-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.peg_end = model.site("pegEnd").id
        self.plug = model.body("plug1").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.site_xpos[:, self.peg_end], state.xquat[:, self.plug])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        tcp_opened = observation[:, 3]
        tcp_to_obj = norm(obj - self.tcp_center(state))
        obj_to_target = norm(obj - target)
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.025,
            pad_success_thresh=0.05,
            xz_thresh=0.005,
            desired_gripper_effort=0.8,
            high_density=True,
        )
        in_place = tolerance(obj_to_target, bounds=(0, 0.05), margin=norm(obj_init - target))
        pulled = (tcp_opened > 0.5) & ((obj - obj_init)[:, 0] > 0.015) & (tcp_to_obj < 0.035)
        reward = 2 * object_grasped + pulled * (1 + 5 * in_place)
        return reward.masked_fill(obj_to_target <= 0.05, 10.0), obj_to_target <= 0.07
