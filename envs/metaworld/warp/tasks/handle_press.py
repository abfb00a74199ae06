"""Pays for pressing a handle down: handle-press-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

TARGET_RADIUS = 0.02
HANDLE_RADIUS = 0.02


class HandlePress(Task):
    """handle-press-v3."""

    episode_attributes = ("_target_pos", "init_tcp", "_handle_init_pos")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.handle = model.site("handleStart").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.site_xpos[:, self.handle])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, handle_init = episode["_target_pos"], episode["_handle_init_pos"]
        obj = state.site_xpos[:, self.handle]
        target_to_obj = (obj - target)[:, 2].abs()
        target_to_obj_init = (handle_init - target)[:, 2].abs()
        in_place = tolerance(
            target_to_obj, bounds=(0, TARGET_RADIUS), margin=(target_to_obj_init - TARGET_RADIUS).abs()
        )
        tcp_to_obj = norm(obj - self.tcp_center(state))
        tcp_to_obj_init = norm(handle_init - episode["init_tcp"])
        reach = tolerance(
            tcp_to_obj, bounds=(0, HANDLE_RADIUS), margin=(tcp_to_obj_init - HANDLE_RADIUS).abs()
        )
        success = target_to_obj <= TARGET_RADIUS
        return 10 * hamacher_product(reach, in_place).masked_fill(success, 1.0), success
