"""Pays for moving a block from one bin to another: bin-picking-v3."""

from __future__ import annotations

import copy
from typing import Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.base import Episode, Task, padded
from mtrl.envs.metaworld.warp.tasks.caging import gripper_caging_reward
from mtrl.envs.metaworld.warp.tasks.geometry import norm
from mtrl.envs.metaworld.warp.tasks.rewards import above_floor, funnel, hamacher_product, tolerance

TARGET_RADIUS = 0.05


class BinPicking(Task):
    """bin-picking-v3."""

    def __init__(self, model: mujoco.MjModel) -> None:
        super().__init__(model)
        self.obj = model.body("obj").id

    def episode(self, env: Any) -> dict[str, NDArray[np.float64]]:
        # The library keeps the distance that its first reward of an episode finds. The hand is not near the
        # block by then, so that this distance follows from the reset alone.
        data = copy.copy(env.data)
        mujoco.mj_step(env.model, data, nstep=env.frame_skip)
        mujoco.mj_forward(env.model, data)
        distance = np.linalg.norm(data.body("obj").xpos - env._target_pos)
        return super().episode(env) | {"_target_to_obj_init": np.array(distance)}

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        return padded(state.xpos[:, self.obj], state.xquat[:, self.obj])

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        target, obj_init = episode["_target_pos"], episode["obj_init_pos"]
        hand = observation[:, :3]
        obj = observation[:, 4:7]
        target_to_obj = norm(obj - target)
        in_place = tolerance(target_to_obj, bounds=(0, TARGET_RADIUS), margin=episode["_target_to_obj_init"])
        # Between the bins the hand has to stay above their walls.
        floor = torch.minimum(
            *(
                funnel(norm(hand[:, :2] - place[:, :2]), 0.03, steepness=0.02, height=0.2)
                for place in (obj_init, target)
            )
        )
        above_walls = above_floor(hand[:, 2], floor, margin=0.05)
        object_grasped = gripper_caging_reward(
            self.gripper(state, episode),
            action,
            obj,
            obj_init,
            obj_radius=0.015,
            pad_success_thresh=0.05,
            xz_thresh=0.01,
            desired_gripper_effort=0.7,
            high_density=True,
        )
        reward = hamacher_product(object_grasped, in_place)
        near_object = norm(obj - hand) < 0.04
        pinched_without_obj = observation[:, 3] < 0.43
        lifted = obj[:, 2] - 0.02 > obj_init[:, 2]
        grasp_success = near_object & lifted & ~pinched_without_obj
        reward = reward + grasp_success * (1 + 5 * hamacher_product(above_walls, in_place))
        return reward.masked_fill(target_to_obj < TARGET_RADIUS, 10.0), target_to_obj <= 0.05
