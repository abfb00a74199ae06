"""Pays for lifting a wrench off a peg: disassemble-v3."""

from __future__ import annotations

from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.assembly import WRENCH_HANDLE_LENGTH, Assembly
from mtrl.envs.metaworld.warp.tasks.base import Episode
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import moved, norm
from mtrl.envs.metaworld.warp.tasks.rewards import tolerance, turned_like, within_handle


class Disassemble(Assembly):
    """disassemble-v3: the objects of assembly-v3, another reward."""

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target = episode["_target_pos"]
        wrench = within_handle(observation[:, 4:7], observation[:, 0], WRENCH_HANDLE_LENGTH / 2)
        wrench_center = state.site_xpos[:, self.nut_center]
        reward_quat = turned_like(observation[:, 7:11], (0.707, 0.0, 0.0, 0.707), slack=0.4)
        reward_grab = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            wrench,
            episode["obj_init_pos"],
            obj_radius=0.015,
            pad_success_thresh=0.02,
            xz_thresh=0.01,
            high_density=True,
        )
        pos_error = norm(moved(target - wrench_center, z=0.1))
        lifted = wrench_center[:, 2] > 0.02
        reward_in_place = 0.1 * lifted + 0.9 * tolerance(pos_error, bounds=(0, 0.02), margin=0.2)
        reward = (2 * reward_grab + 6 * reward_in_place) * reward_quat
        success = observation[:, 6] > target[:, 2]
        return reward.masked_fill(success, 10.0), success
