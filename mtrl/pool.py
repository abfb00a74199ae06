"""Rows of device memory that are taken and given back one by one."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.devices import from_host


class Pool:
    """Vectors that come and go, in memory that grows with the most there were at a time.

    Which places are free is known on the host, so that nothing waits for the device.

    Args:
        width: of a vector.
        places: there are at the start.
        device: where the vectors live.
    """

    def __init__(self, width: int, places: int, device: torch.device) -> None:
        self.rows = torch.empty(places, width, device=device)  # [E, width]
        self._free = torch.arange(places)  # on the host, like all that decides

    def put(self, values: Tensor) -> Tensor:
        """Keep ``values`` [N, width] from the host; their places [N], on the host."""
        lacking = len(values) - len(self._free)
        if lacking > 0:
            places = len(self.rows)
            more = max(places, lacking)
            self.rows = torch.cat([self.rows, self.rows.new_empty(more, self.rows.shape[1])])
            self._free = torch.cat([self._free, torch.arange(places, places + more)])
        taken, self._free = self._free.tensor_split([len(values)])
        device = self.rows.device
        self.rows.index_copy_(0, from_host(taken, device), from_host(values, device))
        return taken

    def give_back(self, places: Tensor) -> None:
        """Let ``places`` [N] be taken again."""
        self._free = torch.cat([self._free, places])
