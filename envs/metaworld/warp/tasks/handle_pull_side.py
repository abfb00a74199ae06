"""Pays for pulling a handle up from the side: handle-pull-side-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

TARGET_RADIUS = 0.05


class HandlePullSide(Task):
    """handle-pull-side-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.handle = model.site("handleCenter").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.site_xpos[:, self.handle])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        tcp_opened = observation[:, 3]
        target_to_obj = norm(obj - target)
        in_place = tolerance(target_to_obj, bounds=(0, TARGET_RADIUS), margin=norm(obj_init - target))
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.032,
            pad_success_thresh=0.06,
            xz_thresh=0.01,
            high_density=True,
        )
        reward = hamacher_product(object_grasped, in_place)
        tcp_to_obj = norm(obj - self.tcp_center(state))
        lifted = (tcp_to_obj < 0.035) & (tcp_opened > 0) & (obj[:, 2] - 0.01 > obj_init[:, 2])
        reward = reward + lifted * (1 + 5 * in_place)
        return reward.masked_fill(target_to_obj < TARGET_RADIUS, 10.0), target_to_obj <= 0.08
