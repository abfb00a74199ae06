"""Plays one Meta-World task in C worlds: actions in, observations, rewards and success out."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.physics import Worlds
from mtrl.envs.metaworld.warp.resets import Resets
from mtrl.envs.metaworld.warp.tasks.base import Task

FRAME = 18  # numbers of an observation that show one moment


class TaskWorlds:
    """Holds C worlds of one task. No method but :meth:`simulate` does more than launch PyTorch's kernels.

    Args:
        resets: what episodes begin from.
        task: observations and rewards.
        copies: C.
        device: where all tensors live.
    """

    def __init__(self, resets: Resets, task: Task, copies: int, device: torch.device) -> None:
        self._task = task
        self._worlds = Worlds(resets.model, copies, device, task.touched_geom)
        self._fields = {name: torch.from_numpy(rows).to(device) for name, rows in resets.fields.items()}
        self._first = torch.from_numpy(resets.obs).to(device)  # [G, 39]
        self._episodes = {name: torch.from_numpy(rows).to(device) for name, rows in resets.episode.items()}
        self._episode = {
            name: rows.new_zeros(copies, *rows.shape[1:]) for name, rows in self._episodes.items()
        }
        self._goal = torch.zeros(copies, dtype=torch.int64, device=device)  # of the running episodes
        self._previous = torch.zeros(copies, FRAME, device=device)
        self._low = torch.from_numpy(resets.mocap_low).to(device)
        self._high = torch.from_numpy(resets.mocap_high).to(device)
        self._upright = torch.tensor([1.0, 0.0, 1.0, 0.0], device=device)
        self._scale = resets.action_scale
        self._steps = resets.frame_skip

    def begin(self, goal: Tensor) -> Tensor:
        """Begin episodes with goals [C]: observations [C, 39]."""
        self._goal.copy_(goal)
        for name, rows in self._fields.items():
            tensor = self._worlds.tensors[name]
            tensor.copy_(rows.index_select(0, goal).view_as(tensor))
        for name, rows in self._episodes.items():
            self._episode[name].copy_(rows.index_select(0, goal))
        obs = self._first.index_select(0, goal)
        self._previous.copy_(obs[:, :FRAME])
        return obs

    def act(self, action: Tensor) -> None:
        """Move the hand's mocap body and the fingers' motors by actions [C, 4]."""
        tensors = self._worlds.tensors
        place = tensors["mocap_pos"][:, 0]  # [C, 3]
        move = action[:, :3].clamp(-1.0, 1.0) * self._scale
        place.copy_(torch.minimum(torch.maximum(place + move, self._low), self._high))
        tensors["mocap_quat"][:, 0].copy_(self._upright)
        tensors["ctrl"].copy_(torch.stack((action[:, 3], -action[:, 3]), dim=-1))

    def simulate(self) -> None:
        """Let time pass."""
        self._worlds.advance(self._steps)

    def observe(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Observation [C, 39], reward [C] and success [C] after ``action`` [C, 4].

        A world whose numbers are not finite any more, where MuJoCo itself would start over within the
        episode, is put back to where its episode began, without reward.
        """
        state = self._worlds.observe()
        obs = self._task.observe(state, self._episode, self._previous)
        reward, success = self._task.reward(obs, action, state, self._episode)
        whole = torch.isfinite(obs).all(-1) & torch.isfinite(state.qvel).all(-1) & torch.isfinite(reward)
        obs = torch.where(whole[:, None], obs, self._first.index_select(0, self._goal))
        for name in ("qpos", "qvel", "qacc_warmstart", "mocap_pos"):
            tensor = self._worlds.tensors[name]
            begun = self._fields[name].index_select(0, self._goal).view_as(tensor)
            tensor.copy_(torch.where(whole.view(-1, *[1] * (tensor.dim() - 1)), tensor, begun))
        self._previous.copy_(obs[:, :FRAME])
        return obs, torch.where(whole, reward, 0.0), success & whole

    def tensors(self) -> dict[str, Tensor]:
        """All that a step changes or depends on, besides the goals: by name, [C, ...] each."""
        return self._worlds.tensors | {"previous": self._previous}
