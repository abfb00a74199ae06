"""Pays for turning a faucet shut: faucet-close-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm
from mtrl.envs.metaworld.warp.tasks.rewards import gaussian, tolerance

TARGET_RADIUS = 0.07
REACH_RADIUS = 0.01


class FaucetClose(Task):
    """faucet-close-v3."""

    handle_site = "handleStartClose"

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.handle = model.site(self.handle_site).id
        self.faucet = model.body("faucetBase").id

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(moved(state.site_xpos[:, self.handle], z=-0.01), state.xquat[:, self.faucet])

    def handle_to_turn(self, observation: Tensor) -> Tensor:
        """The part of the handle that is to reach the target: [C, 3]."""
        return observation[:, 4:7]

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = self.handle_to_turn(observation)
        target_to_obj = norm(obj - target)
        target_to_obj_init = norm(obj_init - target)
        in_place = tolerance(
            target_to_obj, bounds=(0, TARGET_RADIUS), margin=(target_to_obj_init - TARGET_RADIUS).abs()
        )
        tcp_to_obj = norm(obj - self.tcp_center(state))
        tcp_to_obj_init = norm(obj_init - episode["init_tcp"])
        reach = tolerance(
            tcp_to_obj,
            bounds=(0, REACH_RADIUS),
            margin=(tcp_to_obj_init - REACH_RADIUS).abs(),
            sigmoid=gaussian,
        )
        success = target_to_obj <= TARGET_RADIUS
        return (4 * reach + 6 * in_place).masked_fill(success, 10.0), success
