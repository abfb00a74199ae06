"""Turns an actor's outputs into actions, by a Gaussian squashed by tanh."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from mtrl.validation import require_choice

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0


@dataclass(frozen=True)
class TanhNormal:
    """A Gaussian squashed by tanh.

    Args:
        log_std: how log σ is kept in its range: "clip", or "tanh", which bends it over the whole range, as
            facebookresearch/mtrl does.
    """

    log_std: Literal["clip", "tanh"] = "clip"

    def __post_init__(self) -> None:
        require_choice("log_std", self.log_std, ("clip", "tanh"))

    def mode(self, outputs: Tensor) -> Tensor:
        """The actions [..., A] without noise."""
        return outputs.chunk(2, dim=-1)[0].tanh()

    def sample(self, outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A sample and its log-density.

        Args:
            outputs: mean and log standard deviation before its limits, [..., 2A].
            noise: standard normal, [..., A].

        Returns:
            actions [..., A] in (-1, 1) and log π [...].
        """
        mean, log_std = outputs.chunk(2, dim=-1)
        if self.log_std == "clip":
            log_std = log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)
        else:
            log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (log_std.tanh() + 1)
        before = mean + log_std.exp() * noise
        log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
        # log(1 - tanh²(x)) in a form that neither overflows nor cancels.
        log_slope = 2 * (math.log(2) - before - F.softplus(-2 * before))
        return before.tanh(), (log_normal - log_slope).sum(-1)
