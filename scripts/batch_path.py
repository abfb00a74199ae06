"""Shows the way of one batch, function by function:  python scripts/batch_path.py --aggregator cagrad."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch

from mtrl.agents.sac import SAC
from mtrl.cli.program import run_program
from mtrl.config.build import build_agent, training_config
from mtrl.config.compose import compose_config
from mtrl.errors import require
from mtrl.replay import Replay
from mtrl.training.compiling import accelerate
from mtrl.types import SuiteSpec, Transition

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("mtrl", "agents")  # whose functions count
SPEC = SuiteSpec(tuple("abcdef"), obs_size=5, action_size=2, horizon=10, num_goals=4)
BATCH = 4


class Stop(NamedTuple):
    """A function on the way, where it was first entered."""

    file: str  # from the repository's root
    line: int
    name: str
    depth: int  # how many functions of the project were open around it


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description="The project's functions that run from the training loop's replay.sample to the critics' "
        "optimizer.step, in the order of their first call, eager, without diagnosis."
    )
    parser.add_argument("--agent", default="sac", help="a configuration (sac)")
    parser.add_argument("--aggregator", default="cagrad", help="a configuration (cagrad)")
    arguments = parser.parse_args()
    run_program(partial(_print, arguments.agent, arguments.aggregator))


def batch_path(agent: str, aggregator: str) -> list[Stop]:
    """What a batch passes on its way, each function once.

    Functions without a name, lambdas and comprehensions, do not count, nor does what libraries run.
    """
    options = [f"agent={agent}", f"aggregator={aggregator}", "compile=false", "agent.network.hidden=[8, 8]"]
    config, device = compose_config(options), torch.device("cpu")
    generator = torch.Generator(device).manual_seed(0)
    built = build_agent(config, SPEC, device, generator)
    require(isinstance(built, SAC), f"agent must be a SAC, found {type(built).__name__}")
    assert isinstance(built, SAC)
    update = accelerate(built, training_config(config), device, generator)
    replay = Replay(SPEC, BATCH, device, generator)
    replay.add(_transitions(generator))
    update(replay.sample(BATCH), False)  # what happens at a first update only is not on the way
    seen: dict[CodeType, Stop] = {}
    frames: list[FrameType] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        file = _project_file(frame.f_code)
        if file is None or frame.f_code.co_name.startswith("<"):
            return
        if event == "call":
            code = frame.f_code
            seen.setdefault(code, Stop(file, code.co_firstlineno, code.co_qualname, len(frames)))
            frames.append(frame)
        elif event == "return" and frame in frames:
            del frames[frames.index(frame) :]

    built.critic.optimizer.register_step_pre_hook(lambda *_: sys.setprofile(None))
    sys.setprofile(watch)
    try:
        update(replay.sample(BATCH), False)
    finally:
        sys.setprofile(None)
    return list(seen.values())


def totals(path: list[Stop]) -> tuple[int, int]:
    """How many functions, in how many files."""
    return len(path), len({stop.file for stop in path})


def _project_file(code: CodeType) -> str | None:
    """Where the project's function is written, or None for a library's."""
    path = Path(code.co_filename).resolve()
    if not path.is_relative_to(ROOT):
        return None
    relative = path.relative_to(ROOT)
    return str(relative) if relative.parts[0] in ROOMS else None


def _transitions(generator: torch.Generator) -> Transition:
    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(SPEC.num_tasks, BATCH, *shape, generator=generator)

    obs, action, next_obs = (normal(size) for size in (SPEC.obs_size, SPEC.action_size, SPEC.obs_size))
    return Transition(obs, action.tanh(), normal(), next_obs, normal() > 1)


def _print(agent: str, aggregator: str) -> None:
    path = batch_path(agent, aggregator)
    for number, stop in enumerate(path, start=1):
        print(f"{number:3}  {f'{stop.file}:{stop.line}':42}{'  ' * stop.depth}{stop.name}")
    functions, files = totals(path)
    print(f"agent={agent} aggregator={aggregator}: {functions} functions in {files} files")


if __name__ == "__main__":
    main()
