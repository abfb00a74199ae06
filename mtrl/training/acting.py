"""Chooses the training environments' actions on the device, from arrays to arrays of the host."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mtrl.training.graphs import Program, Recorder
from mtrl.training.staging import Staging, event
from mtrl.types import FloatArray, Policy


class Acting:
    """Makes one program of the way to the device, the policy and the way back.

    The one wait of a vector step is here, for the actions.

    Args:
        policy: acts with noise.
        device: of the policy.
        recorder: None for plain calls.
    """

    def __init__(self, policy: Policy, device: torch.device, recorder: Recorder | None) -> None:
        self.policy = policy
        self.device = device
        self._program = Program(self._act, recorder)
        self._obs: Staging | None = None
        self._action: Tensor | None = None  # [K, n, A], on the host
        self._done = event() if device.type == "cuda" else None

    def __call__(self, obs: FloatArray) -> FloatArray:
        """Choose actions [K, n, A] for observations [K, n, O]."""
        if self._obs is None:
            self._obs = Staging([obs], self.device)
        self._obs.fill([obs])
        self._program()
        self._obs.queued()
        if self._done is not None:
            self._done.record()
            self._done.synchronize()
        assert self._action is not None
        return np.array(self._action.numpy())  # a copy: the next call writes there

    def _act(self) -> None:
        assert self._obs is not None
        self._obs.transfer()
        action = self.policy.act(self._obs.tensors[0], deterministic=False)
        if self._action is None:
            self._action = torch.empty(action.shape, dtype=action.dtype, pin_memory=action.is_cuda)
        self._action.copy_(action, non_blocking=True)
