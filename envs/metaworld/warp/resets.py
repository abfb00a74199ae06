"""Takes the states that the library's resets lead to, once for every goal of a task."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import mujoco
import numpy as np

from mtrl.envs.metaworld.task import MetaWorldTask
from mtrl.envs.metaworld.warp.tasks.base import Task
from mtrl.types import FloatArray

MODEL_FIELDS = ("body_pos", "body_quat", "site_pos")  # what goals change of a model
# Of the last group static geoms alone count, whose places the simulator does not compute again.
STATE_FIELDS = ("qpos", "qvel", "qacc_warmstart", "ctrl", "mocap_pos", "mocap_quat")
PLACE_FIELDS = ("xpos", "xquat", "xmat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat")


class Resets(NamedTuple):
    """Holds what an episode of each of G goals begins from: a function of the goal alone."""

    model: mujoco.MjModel  # as resets leave it, but for MODEL_FIELDS
    fields: dict[str, FloatArray]  # [G, ...] each: MODEL_FIELDS, STATE_FIELDS and PLACE_FIELDS
    obs: FloatArray  # [G, 39]
    episode: dict[str, FloatArray]  # [G, ...] each, what rewards and observations need besides
    mocap_low: FloatArray  # [3], where actions may bring the hand's mocap body
    mocap_high: FloatArray  # [3]
    action_scale: float  # the way of an action of length 1
    frame_skip: int  # steps of the simulation in one of the environment


def take_resets(library: MetaWorldTask, task: Task, num_goals: int) -> Resets:
    """Reset the library's environment to goals 0 to ``num_goals`` - 1 and copy what it finds.

    Args:
        library: an environment of its own.
        task: knows what of it rewards need.
        num_goals: G.
    """
    env = library.env
    rows: list[dict[str, Any]] = []
    episodes: list[dict[str, Any]] = []
    observations = []
    for goal in range(num_goals):
        observations.append(library.reset(goal))
        rows.append(_row(env))
        episodes.append(task.episode(env))
    return Resets(
        model=copy.copy(env.model),
        fields=_stacked(rows),
        obs=np.asarray(observations, np.float32),
        episode=_stacked(episodes),
        mocap_low=np.asarray(env.mocap_low, np.float32),
        mocap_high=np.asarray(env.mocap_high, np.float32),
        action_scale=float(env.action_scale),
        frame_skip=int(env.frame_skip),
    )


def _row(env: Any) -> dict[str, Any]:
    places = mujoco.MjData(env.model)
    for field in ("qpos", "mocap_pos", "mocap_quat"):
        getattr(places, field)[:] = getattr(env.data, field)
    mujoco.mj_kinematics(env.model, places)  # a reset moves bodies of the model after its own
    return (
        {field: getattr(env.model, field).copy() for field in MODEL_FIELDS}
        | {field: getattr(env.data, field).copy() for field in STATE_FIELDS}
        | {field: getattr(places, field).copy() for field in PLACE_FIELDS}
    )


def _stacked(rows: list[dict[str, Any]]) -> dict[str, FloatArray]:
    return {name: np.asarray([row[name] for row in rows], np.float32) for name in rows[0]}
