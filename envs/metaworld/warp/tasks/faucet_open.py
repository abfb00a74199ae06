"""Pays for turning a faucet open: faucet-open-v3."""

from torch import Tensor

from mtrl.envs.metaworld.warp.tasks.faucet_close import FaucetClose
from mtrl.envs.metaworld.warp.tasks.geometry import moved


class FaucetOpen(FaucetClose):
    """faucet-open-v3: the other way round, by another part of the handle."""

    handle_site = "handleStartOpen"

    def handle_to_turn(self, observation: Tensor) -> Tensor:
        return moved(observation[:, 4:7], x=-0.04, z=0.03)
