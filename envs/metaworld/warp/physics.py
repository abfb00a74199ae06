"""Simulates worlds with MuJoCo Warp in memory that PyTorch shares."""

from __future__ import annotations

from typing import Any

import mujoco
import mujoco_warp
import numpy as np
import torch
import warp as wp
from torch import Tensor

from mtrl.envs.metaworld.warp.resets import MODEL_FIELDS, PLACE_FIELDS, STATE_FIELDS
from mtrl.envs.metaworld.warp.settings import SETTINGS
from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tuning import tuned

wp.config.quiet = True
wp.init()

CONTACTS = SETTINGS["contacts_per_world"]
CONSTRAINTS = SETTINGS["constraint_rows_per_world"]


class Worlds:
    """Holds a model and the data of C worlds of one task, on a device.

    Args:
        model: of the library's environment after a reset, which changes it.
        copies: C.
        device: of the tensors.
        touched: the geom of which :attr:`state` is to say whether both pads press on it, if any.

    Attributes:
        tensors: the fields of :class:`~mtrl.envs.metaworld.warp.resets.Resets`, [C, ...] each, in the
            simulator's own memory.
        state: the same for rewards.
    """

    def __init__(
        self, model: mujoco.MjModel, copies: int, device: torch.device, touched: str | None = None
    ) -> None:
        with wp.ScopedDevice(wp.device_from_torch(device)):
            self._model = mujoco_warp.put_model(tuned(model))
            for field in MODEL_FIELDS:  # one of each world's own
                values = np.repeat(getattr(self._model, field).numpy()[:1], copies, axis=0)
                array = wp.array(values, dtype=getattr(self._model, field).dtype)
                setattr(self._model, field, array)
            self._data = mujoco_warp.make_data(model, nworld=copies, nconmax=CONTACTS, njmax=CONSTRAINTS)
        self.tensors: dict[str, Tensor] = {
            field: wp.to_torch(getattr(self._model, field)) for field in MODEL_FIELDS
        } | {field: wp.to_torch(getattr(self._data, field)) for field in STATE_FIELDS + PLACE_FIELDS}
        names = WorldState.__dataclass_fields__
        shared = {field: tensor for field, tensor in self.tensors.items() if field in names}
        self.state = WorldState(**shared | {"mocap_pos": self.tensors["mocap_pos"][:, 0]})
        self._touch = None if touched is None else _Touch(model, self._data, touched, copies)

    def advance(self, steps: int) -> None:
        """Make steps of the simulation, then bring all that follows from the state up to date."""
        for _ in range(steps):
            mujoco_warp.step(self._model, self._data)
        mujoco_warp.forward(self._model, self._data)

    def observe(self) -> WorldState:
        """The state now, in memory that the next step overwrites."""
        if self._touch is not None:
            self.state.touching = self._touch()
        return self.state


class _Touch:
    """Says in which worlds both pads of the gripper press on a geom, as the library counts it."""

    def __init__(self, model: mujoco.MjModel, data: Any, touched: str, copies: int) -> None:
        self._object = model.geom(touched).id
        self._pads = (model.geom("leftpad_geom").id, model.geom("rightpad_geom").id)
        self._copies = copies
        contact = data.contact
        self._geoms = wp.to_torch(contact.geom)  # [N, 2], contacts of all worlds
        self._world = wp.to_torch(contact.worldid)  # [N]
        self._row = wp.to_torch(contact.efc_address)[:, 0]  # [N], of the normal force; negative: none
        self._count = wp.to_torch(data.nacon)  # [1]
        self._force = wp.to_torch(data.efc.force)  # [C, rows]

    def __call__(self) -> Tensor:
        """Booleans [C]."""
        place = torch.arange(len(self._world), device=self._world.device)
        world = self._world.long().clamp(0, self._copies - 1)
        row = self._row.long()
        counts = (place < self._count) & (row >= 0) & (self._geoms == self._object).any(1)
        force = self._force[world, row.clamp(0, self._force.shape[1] - 1)]  # [N]
        pressed = []
        for pad in self._pads:
            of_pad = torch.where(counts & (self._geoms == pad).any(1), force, 0.0)
            pressed.append(of_pad.new_zeros(self._copies).index_add_(0, world, of_pad) > 0)
        return pressed[0] & pressed[1]
