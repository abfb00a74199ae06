"""Pays for pushing a peg into a hole from the side: peg-insert-side-v3."""

from __future__ import annotations

import mujoco
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm, quaternion, scaled
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, rect_prism_tolerance, tolerance

TARGET_RADIUS = 0.07


class PegInsertSide(Task):
    """peg-insert-side-v3."""

    episode_attributes = (*Task.episode_attributes, "peg_head_pos_init")

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.peg_grasp = model.site("pegGrasp").id
        self.peg_head = model.site("pegHead").id
        # Corners of the two boxes below the hole, that the peg should not run into.
        self.boxes = [
            (
                model.site(f"bottom_right_corner_collision_box_{box}").id,
                model.site(f"top_left_corner_collision_box_{box}").id,
            )
            for box in (1, 2)
        ]

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.site_xpos[:, self.peg_grasp], quaternion(state.site_xmat[:, self.peg_grasp]))

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        obj = observation[:, 4:7]
        obj_head = state.site_xpos[:, self.peg_head]
        tcp_opened = observation[:, 3]
        tcp_to_obj = norm(obj - self.tcp_center(state))
        obj_to_target = norm(scaled(obj_head - target, 1, 2, 2))
        in_place_margin = norm(scaled(episode["peg_head_pos_init"] - target, 1, 2, 2))
        in_place = tolerance(obj_to_target, bounds=(0, TARGET_RADIUS), margin=in_place_margin)
        below_1, below_2 = (
            rect_prism_tolerance(obj_head, zero=state.site_xpos[:, zero], one=state.site_xpos[:, one])
            for zero, one in self.boxes
        )
        in_place = hamacher_product(in_place, hamacher_product(below_2, below_1))
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.0075,
            pad_success_thresh=0.03,
            xz_thresh=0.005,
            high_density=True,
        )
        lifted = (tcp_to_obj < 0.08) & (tcp_opened > 0) & (obj[:, 2] - 0.01 > obj_init[:, 2])
        object_grasped = object_grasped.masked_fill(lifted, 1.0)
        reward = hamacher_product(object_grasped, in_place) + lifted * (1 + 5 * in_place)
        success = obj_to_target <= 0.07
        return reward.masked_fill(success, 10.0), success
