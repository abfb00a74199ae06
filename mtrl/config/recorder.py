"""Builds what records an evaluation as a video, and chooses how MuJoCo draws before it is imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from mtrl.envs.metaworld.camera import choose_backend
from mtrl.envs.video import as_drawable, gif
from mtrl.errors import UsageError
from mtrl.training.evaluation import on_host
from mtrl.types import Agent, Suite

SIZE, PICTURES_PER_SECOND = 128, 10  # pixels of a task's picture: a few MB for MT10


def prepare_drawing() -> UsageError | None:
    """Choose how MuJoCo draws; to be called before anything imports it.

    Returns:
        Why it draws nothing here, which an environment that draws by itself need not mind; else None.
    """
    try:
        choose_backend()
    except UsageError as error:
        return error
    return None


def build_recorder(
    suite: Suite, agent: Agent, device: torch.device, no_backend: UsageError | None
) -> Callable[[], bytes]:
    """A function that records the agent as it is when called: all tasks at their first goal, as a GIF.

    Args:
        suite: of the tasks.
        agent: that acts, without noise.
        device: of the agent.
        no_backend: what :func:`prepare_drawing` returned.

    Raises:
        UsageError: for a suite that cannot be drawn here.
    """
    tasks: Sequence[int] = range(suite.spec.num_tasks)
    try:
        drawable = as_drawable(suite, tasks, no_backend)
    except UsageError as error:
        raise UsageError(f"record_evaluations: {error}; or leave it false") from error
    return partial(gif, drawable, on_host(agent, device), size=SIZE, rate=PICTURES_PER_SECOND)
