"""Pays for closing the gripper around an object, in Meta-World's three ways.

The library's ``init_left_pad`` and ``init_right_pad`` are views into MuJoCo's memory: despite their names
they are where the pads are now, and so are these.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.tasks.geometry import norm, xz
from mtrl.envs.metaworld.warp.tasks.rewards import hamacher_product, tolerance

PAD_SUCCESS_MARGIN = 0.05


class Gripper(NamedTuple):
    """Where the parts of the gripper are, [C, 3] each."""

    tcp: Tensor  # the middle between its fingers
    left_pad: Tensor
    right_pad: Tensor
    init_tcp: Tensor  # at the start of the episode


def gripper_closed(action: Tensor, effort: float = 1.0) -> Tensor:
    """How much of the desired effort an action [C, 4] puts into closing the gripper: [C], from 0 to 1."""
    return action[:, 3].clamp(0.0, effort) / effort


def gripper_caging_reward(
    gripper: Gripper,
    action: Tensor,
    obj: Tensor,
    obj_init: Tensor,
    *,
    obj_radius: float,
    pad_success_thresh: float,
    xz_thresh: float,
    desired_gripper_effort: float = 1.0,
    high_density: bool = False,
    object_reach_radius: float | None = None,
) -> Tensor:
    """``SawyerXYZEnv._gripper_caging_reward``: [C].

    Args:
        gripper: where it is.
        action: [C, 4].
        obj: where the object is, [C, 3].
        obj_init: where it was at the start of the episode, [C, 3].
        obj_radius: of the object's bounding sphere.
        pad_success_thresh: distance of a pad to the object, along y, that is near enough.
        xz_thresh: distance of the gripper's middle to the object, in x and z, that is near enough.
        desired_gripper_effort: the closing action that is enough.
        high_density: pay for the place of the gripper by itself as well.
        object_reach_radius: pay for the nearness of the gripper by itself as well, in full within this
            distance; the library's medium density.
    """
    pads_y = torch.stack((gripper.left_pad[:, 1], gripper.right_pad[:, 1]), dim=-1)  # [C, 2]
    pads_to_obj = (pads_y - obj[:, 1:2]).abs()
    pads_to_obj_init = (pads_y - obj_init[:, 1:2]).abs()
    caging_lr = tolerance(
        pads_to_obj,
        bounds=(obj_radius, pad_success_thresh),
        margin=(pads_to_obj_init - pad_success_thresh).abs(),
    )
    caging_y = hamacher_product(caging_lr[:, 0], caging_lr[:, 1])
    caging = hamacher_product(caging_y, caging_xz(gripper, obj, obj_init, xz_thresh))
    gripping = gripper_closed(action, desired_gripper_effort).masked_fill(caging <= 0.97, 0.0)
    caging_and_gripping = hamacher_product(caging, gripping)
    if high_density:
        return (caging_and_gripping + caging) / 2
    if object_reach_radius is not None:
        reach = tolerance(
            norm(obj - gripper.tcp),
            bounds=(0, object_reach_radius),
            margin=(norm(obj_init - gripper.init_tcp) - object_reach_radius).abs(),
        )
        return (caging_and_gripping + reach) / 2
    return caging_and_gripping


def pinching_reward(
    gripper: Gripper,
    obj: Tensor,
    obj_init: Tensor,
    *,
    obj_radius: float,
    grip_success_margin: float,
    xz_success_margin: float,
) -> Tensor:
    """``_gripper_caging_reward`` of the tasks that push, sweep or kick: [C]. The action does not matter.

    Args:
        gripper: where it is.
        obj: where the object is, [C, 3].
        obj_init: where it was at the start of the episode, [C, 3].
        obj_radius: of the object's bounding sphere.
        grip_success_margin: distance of a pad to the object, along y, at which it is held.
        xz_success_margin: distance of the gripper's middle to the object, in x and z, that is near enough.
    """
    y_caging = pads_around(gripper, obj, bounds=(obj_radius, PAD_SUCCESS_MARGIN))
    y_gripping = pads_around(gripper, obj, bounds=(obj_radius, grip_success_margin))
    caging = hamacher_product(y_caging, caging_xz(gripper, obj, obj_init, xz_success_margin))
    return (caging + y_gripping.masked_fill(caging <= 0.95, 0.0)) / 2


def pads_around(gripper: Gripper, obj: Tensor, *, bounds: tuple[float, float]) -> Tensor:
    """How well the object is between the pads, along y, each of them within ``bounds`` of it: [C]."""
    left = gripper.left_pad[:, 1] - obj[:, 1]
    right = obj[:, 1] - gripper.right_pad[:, 1]
    left_caging = tolerance(left, bounds=bounds, margin=(left.abs() - PAD_SUCCESS_MARGIN).abs())
    right_caging = tolerance(right, bounds=bounds, margin=(right.abs() - PAD_SUCCESS_MARGIN).abs())
    return hamacher_product(left_caging, right_caging)


def caging_xz(gripper: Gripper, obj: Tensor, obj_init: Tensor, threshold: float) -> Tensor:
    """How near the gripper's middle is to the object in x and z: [C]."""
    return tolerance(
        norm(xz(gripper.tcp - obj)),
        bounds=(0, threshold),
        margin=norm(xz(obj_init - gripper.init_tcp)) - threshold,
    )
