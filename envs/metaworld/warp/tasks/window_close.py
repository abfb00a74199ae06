"""Pays for sliding a window shut: window-close-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import gaussian, hamacher_product, tolerance

TARGET_RADIUS = 0.05
HANDLE_RADIUS = 0.02


class WindowClose(Task):
    """window-close-v3."""

    episode_attributes = ("_target_pos", "init_tcp", "window_handle_pos_init")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.handle = model.site("handleCloseStart").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.site_xpos[:, self.handle])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target = episode["_target_pos"]
        obj = state.site_xpos[:, self.handle]
        target_to_obj = (obj - target)[:, 0].abs()
        target_to_obj_init = (episode["window_handle_pos_init"] - target)[:, 0].abs()
        in_place = tolerance(
            target_to_obj, bounds=(0, TARGET_RADIUS), margin=(target_to_obj_init - TARGET_RADIUS).abs()
        )
        tcp_to_obj = norm(obj - self.tcp_center(state))
        tcp_to_obj_init = norm(episode["window_handle_pos_init"] - episode["init_tcp"])
        reach = tolerance(
            tcp_to_obj,
            bounds=(0, HANDLE_RADIUS),
            margin=(tcp_to_obj_init - HANDLE_RADIUS).abs(),
            sigmoid=gaussian,
        )
        return 10 * hamacher_product(reach, in_place), target_to_obj <= TARGET_RADIUS
