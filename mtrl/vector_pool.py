"""Keeps vectors that come and go in one piece of the device's memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]


class VectorPool:
    """Allocates vectors that come and go, in memory that grows with the most there were at a time.

    Which slots are free is known on the host, so that nothing waits for the device.

    Args:
        width: the size of a vector.
        slots: how many vectors there is room for at the start.
        device: where the vectors live.
    """

    def __init__(self, width: int, slots: int, device: torch.device) -> None:
        self.vectors = torch.empty(slots, width, device=device)  # [E, width]
        self._free = np.arange(slots)  # on the host, like all that decides

    def take(self, count: int) -> Array:
        """Give out ``count`` slots; growing moves the vectors, and makes more of them."""
        lacking = count - len(self._free)
        if lacking > 0:
            slots = len(self.vectors)
            more = max(slots, lacking)
            self.vectors = torch.cat([self.vectors, self.vectors.new_empty(more, self.vectors.shape[1])])
            self._free = np.concatenate([self._free, np.arange(slots, slots + more)])
        taken, self._free = np.split(self._free, [count])
        return taken

    def free(self, slots: Array) -> None:
        """Let ``slots`` [N] be taken again."""
        self._free = np.concatenate([self._free, slots])
