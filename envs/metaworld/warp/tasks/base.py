"""Shows the worlds of one Meta-World task as observations; a subclass knows its objects and its reward."""

from __future__ import annotations

from typing import Any, ClassVar

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks.caging import Gripper
from mtrl.envs.metaworld.warp.tasks.geometry import norm

Episode = dict[str, Tensor]  # what stays as it is during an episode, [C, ...] each


class Task:
    """Computes observation, reward of version 2 and success of C worlds of one task, as the library does.

    Methods take and return tensors [C, ...], of any precision and device. They neither wait for the device
    nor branch on a tensor nor keep anything, so that they can be recorded in a CUDA graph.

    Args:
        model: of the task; only the order of names in it matters, not where a goal has put them.
    """

    episode_attributes: ClassVar[tuple[str, ...]] = ("_target_pos", "obj_init_pos", "init_tcp")
    """The library's attributes that a reset sets and a step leaves alone."""

    touched_geom: ClassVar[str | None] = None
    """The geom of which success asks that both pads press on it: ``WorldState.touching`` must say so."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.hand = model.body("hand").id
        self.claws = (model.body("rightclaw").id, model.body("leftclaw").id)
        self.left_pad = model.body("leftpad").id
        self.right_pad = model.body("rightpad").id
        self.fingers = (model.site("rightEndEffector").id, model.site("leftEndEffector").id)

    def episode(self, env: Any) -> dict[str, NDArray[np.float64]]:
        """What the library's environment has fixed for the episode that it was just reset to.

        ``goal`` is the goal as observations show it: steps clip it to the library's bounds, resets do not.
        """
        space = env.sawyer_observation_space
        goal = np.clip(env._get_pos_goal(), space.low[-3:], space.high[-3:])
        return {"goal": goal} | {name: np.array(getattr(env, name)) for name in self.episode_attributes}

    def objects(self, state: WorldState, episode: Episode) -> Tensor:
        """Position and quaternion of one object, or of two, padded with zeros: [C, 14]."""
        raise NotImplementedError

    def reward(
        self, observation: Tensor, action: Tensor, state: WorldState, episode: Episode
    ) -> tuple[Tensor, Tensor]:
        """Reward [C] and success, bool [C], after an action [C, 4] led to the state and its observation."""
        raise NotImplementedError

    def observe(self, state: WorldState, episode: Episode, previous: Tensor) -> Tensor:
        """The observation after a step, [C, 39]: this frame, the previous one, the goal.

        Args:
            state: of the worlds now.
            episode: of :meth:`episode`.
            previous: the first 18 numbers of the observation before, [C, 18].
        """
        right_claw, left_claw = (state.xpos[:, claw] for claw in self.claws)
        opening = (norm(right_claw - left_claw) / 0.1).clamp(0.0, 1.0)[:, None]
        objects = self.objects(state, episode)
        before = (_within_reach(previous[:, :3]), previous[:, 3:])
        frame = (_within_reach(state.xpos[:, self.hand]), opening, objects)
        return torch.cat((*frame, *before, episode["goal"]), dim=-1)

    def tcp_center(self, state: WorldState) -> Tensor:
        """The middle between the gripper's fingers: [C, 3]."""
        right, left = self.fingers
        return (state.site_xpos[:, right] + state.site_xpos[:, left]) / 2

    def gripper(self, state: WorldState, episode: Episode) -> Gripper:
        """The gripper, for the rewards of :mod:`mtrl.envs.metaworld.warp.tasks.caging`."""
        return Gripper(
            tcp=self.tcp_center(state),
            left_pad=state.xpos[:, self.left_pad],
            right_pad=state.xpos[:, self.right_pad],
            init_tcp=episode["init_tcp"],
        )


def padded(*parts: Tensor) -> Tensor:
    """Numbers of objects side by side, and zeros behind them: [C, 14]."""
    numbers = torch.cat(parts, dim=-1)
    return torch.nn.functional.pad(numbers, (0, 14 - numbers.shape[-1]))


def _within_reach(hand: Tensor) -> Tensor:
    """The hand's position [C, 3] within the bounds of the library's observation space."""
    x, y, z = hand.unbind(-1)
    return torch.stack((x.clamp(-0.525, 0.525), y.clamp(0.348, 1.025), z.clamp(-0.0525, 0.7)), dim=-1)
