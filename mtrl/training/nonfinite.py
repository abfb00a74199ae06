"""Detects losses and gradients that are not finite, without waiting for the device, and stops or skips."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten_with_path

from mtrl.errors import DivergenceError
from mtrl.training.blame import cause
from mtrl.types import NONFINITE, NONFINITE_DIRECTION, Agent, Metrics

VERDICTS = (NONFINITE, NONFINITE_DIRECTION)  # [K] booleans, for the guard alone

MAX_CONSECUTIVE_SKIPS = 100  # skipped updates, after which the run stops

OnDivergence = Literal["stop", "skip"]


class NonfiniteGuard:
    """Watches an agent's updates; ``skip`` undoes those whose losses or gradients are not finite.

    Call :meth:`remember` before each update and :meth:`judge` after it. An update is judged on the device and
    the verdict is counted there; :meth:`check` reads the counters. What ``skip`` costs is a copy of the
    agent's state before each update and one after it.

    Args:
        agent: its metrics named ``.../loss``, and ``.../nonfinite_gradient`` and ``..._direction``, [K], are
            judged. For updates to be undone, its ``state_dict`` must hold the tensors themselves, not copies.
        task_names: the names of the K tasks.
        on_divergence: "stop": :meth:`check` raises at the first. "skip": parameters, optimisers, targets,
            aggregators and temperatures stay as before the update, and :meth:`check` raises after
            ``MAX_CONSECUTIVE_SKIPS``.
    """

    def __init__(self, agent: Agent, task_names: tuple[str, ...], on_divergence: OnDivergence) -> None:
        self.agent = agent
        self.task_names = task_names
        self.on_divergence = on_divergence
        self._before: dict[str, Tensor] = {}  # the agent's state before the update, if it may be undone
        self._names: list[str] = []  # of the T judged metrics
        self._first: Tensor | None = None  # [T, K], the step of the first bad value; -1: none
        self._counts: Tensor | None = None  # [3]: bad updates in all, in a row now, in the longest row

    def remember(self) -> None:
        """Copy the agent's state, if the update that follows may have to be undone."""
        if self.on_divergence == "skip":
            self._before = {path: value.clone() for path, value in _tensors(self.agent)}

    def judge(self, metrics: Metrics, step: int | Tensor) -> Metrics:
        """Judge the update that gave ``metrics``; return them, but for those that only say what is finite.

        Args:
            metrics: of the update.
            step: of the environments; 0-d on the device for a program that is recorded.
        """
        bad = {
            name: value if name.endswith(VERDICTS) else ~value.isfinite()
            for name, value in metrics.items()
            if name.endswith(("/loss", *VERDICTS))
        }
        metrics = {name: value for name, value in metrics.items() if not name.endswith(VERDICTS)}
        fine = ~self.count(bad, step)
        if self.on_divergence == "skip":
            before, self._before = self._before, {}
            assert before, "remember must be called before each update"
            for path, value in _tensors(self.agent):
                # What an optimiser or a tracker makes at its first step starts as zeros.
                old = before.get(path)
                value.copy_(torch.where(fine, value, 0 if old is None or old.shape != value.shape else old))
            # An undone update counts as zeros in the log's means, where NaN would spoil the interval.
            metrics = {name: torch.where(fine, value, 0) for name, value in metrics.items()}
        return metrics

    def check(self) -> dict[str, int]:
        """Read the counters and return what to log.

        Raises:
            DivergenceError: if the run has to stop, naming task, step and value.
        """
        if self._first is None or self._counts is None:
            return {}
        bad, _, longest = (int(count) for count in self._counts.tolist())
        if bad and (self.on_divergence == "stop" or longest >= MAX_CONSECUTIVE_SKIPS):
            raise DivergenceError(self._describe(bad, longest))
        return {"skipped_updates": bad} if self.on_divergence == "skip" else {}

    def state_dict(self) -> dict[str, Any]:
        """The counters, and the names of what they count."""
        return {"names": list(self._names), "first": self._first, "counts": self._counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self._names, self._first, self._counts = list(state["names"]), state["first"], state["counts"]

    def count(self, bad: dict[str, Tensor], step: int | Tensor) -> Tensor:
        """Count the verdicts [K] in ``bad``, true where a value is not finite; return whether any is, 0-d."""
        values = torch.stack(list(bad.values()))  # [T, K]
        if self._first is None or self._counts is None or len(self._names) != len(bad):  # of another release
            self._names = list(bad)
            self._first = torch.full(values.shape, -1, device=values.device)
            if self._counts is None:
                self._counts = torch.zeros(3, dtype=torch.int64, device=values.device)
        self._first.copy_(torch.where((self._first < 0) & values, step, self._first))
        found = values.any()
        total, streak, longest = self._counts.unbind()
        streak = (streak + 1) * found
        self._counts.copy_(torch.stack([total + found, streak, torch.maximum(longest, streak)]))
        return found

    def _describe(self, bad: int, longest: int) -> str:
        assert self._first is not None
        first = self._first.tolist()
        step = min(value for steps in first for value in steps if value >= 0)
        found = {
            name: [task for task, value in zip(self.task_names, steps, strict=True) if value == step]
            for name, steps in zip(self._names, first, strict=True)
        }
        counted = f"{bad} updates in all" + (f", {longest} in a row" if self.on_divergence == "skip" else "")
        sides = {name.partition("/")[0] for name in found if found[name]}
        made = [side for side in sorted(sides) if self._made_by_aggregator(side, found)]
        places = [
            f"{name.replace(NONFINITE, 'gradient')} of task {task}"
            for name, tasks in found.items()
            for task in tasks
            if not name.endswith(NONFINITE_DIRECTION)
        ]
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        shown = f"{', '.join(places[:3])}{more}" if not made else f"the direction of {' and '.join(made)}"
        return (
            f"step {step}: not finite: {shown} ({counted}); no checkpoint holds it; "
            f"{cause(self.agent, made or sorted(sides), not made)}"
        )

    @staticmethod
    def _made_by_aggregator(side: str, found: dict[str, list[str]]) -> bool:
        """Whether a direction was the first, and what it was made of was finite."""
        of_side = {name for name, tasks in found.items() if tasks and name.startswith(f"{side}/")}
        return of_side == {f"{side}/{NONFINITE_DIRECTION}"}


def _tensors(agent: Agent) -> list[tuple[str, Tensor]]:
    """The tensors of the agent's state, by path."""
    leaves, _ = tree_flatten_with_path(agent.state_dict())
    return [(str(path), value) for path, value in leaves if isinstance(value, Tensor)]
