"""Brings Warp's contacts closest to those of the benchmark's MuJoCo, where Warp and newer MuJoCo differ."""

from __future__ import annotations

import copy

import mujoco
import numpy as np


def tuned(model: mujoco.MjModel) -> mujoco.MjModel:
    """A copy of a model for Warp, which is not meant for MuJoCo itself any more."""
    model = copy.copy(model)
    # In Warp this flag chooses the routine for two boxes: MuJoCo's own, with up to 8 points of contact.
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_NATIVECCD
    weight = model.body_invweight0[:, 0]  # how easily a contact moves each body
    # MuJoCo 3.4 and later let a body that can only turn about its middle give way as it turns; 3.3 does not.
    weight[~_moves(model)] = 0.0
    # Warp 3.5 weighs an elliptic contact by the body that a geom's body is welded to, where MuJoCo takes the
    # geom's own body: hundreds of times too soft for objects whose geoms belong to a child of what moves.
    for geom in np.flatnonzero(model.geom_contype | model.geom_conaffinity):
        body = model.geom_bodyid[geom]
        weight[model.body_weldid[body]] = weight[body]  # the deepest body of several comes last
    return model


def _moves(model: mujoco.MjModel) -> np.ndarray:
    """Which bodies' middles some joint moves, bool [nbody]."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    shift = np.empty((3, model.nv))
    moves = np.zeros(model.nbody, np.bool_)
    for body in range(model.nbody):
        mujoco.mj_jacBodyCom(model, data, shift, None, body)
        moves[body] = np.abs(shift).max(initial=0.0) > 1e-6
    return moves
