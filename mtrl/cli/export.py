"""Exports a policy to a file that needs PyTorch alone:  python scripts/export.py RUN_DIR --out policy.pt2."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import mtrl
from mtrl.cli.program import run_program
from mtrl.errors import UsageError, require
from mtrl.runs.policy import DeterministicPolicy, RunPolicy

TOLERANCE = 1e-5  # rounding, in networks whose outputs are large
ROWS = 1000  # observations of each task that the two are compared on
FACTS = "policy.json"


def main() -> None:
    """Entry point of ``mtrl-export``."""
    parser = argparse.ArgumentParser(
        description="Write the deterministic policy of a run as a file that loads without mtrl."
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--out", type=Path, default=Path("policy.pt2"), help="file to write (policy.pt2)")
    parser.add_argument("--step", type=int, help="of the checkpoint (the newest)")
    arguments = parser.parse_args()
    run_program(lambda: _export(arguments))


def _export(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    require(out.suffix == ".pt2", f"--out must end in .pt2, found {out.name!r}")
    require(out.parent.is_dir(), f"--out must lie in an existing folder, there is no {out.parent}")
    require(not out.exists(), f"--out: {out} exists already; remove it or choose another name")
    policy = mtrl.load(arguments.run, step=arguments.step)
    difference = export_policy(policy, out)
    tasks = f"{len(policy.task_names)} tasks" if len(policy.task_names) > 1 else policy.task_names[0]
    print(f"{out}: {tasks} at step {policy.step}, {out.stat().st_size / 1e6:.1f} MB")
    print(f"largest difference from the checkpoint, {ROWS} observations of each task: {difference:.1e}")


def export_policy(policy: RunPolicy, out: Path) -> float:
    """Write ``policy`` to ``out``, whole and compared, or not at all.

    Returns:
        The largest difference of an action from the policy's.

    Raises:
        FloatingPointError: if that is above :data:`TOLERANCE`.
        UsageError: if the file cannot be written.
    """
    module = DeterministicPolicy(policy.actor, policy.distribution).eval()
    example = (torch.zeros(2, policy.obs_size), torch.tensor(0))
    rows = torch.export.Dim("rows")
    program = torch.export.export(module, example, dynamic_shapes=({0: rows}, None), strict=False)
    facts: dict[str, Any] = {
        "tasks": policy.task_names,
        "obs_size": policy.obs_size,
        "action_size": policy.action_size,
        "step": policy.step,
    }
    if policy.spaces:
        facts["spaces"] = {name: space._asdict() for name, space in policy.spaces.items()}
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={FACTS: json.dumps(facts)})
    buffer.seek(0)
    difference = _difference(policy, torch.export.load(buffer).module())
    if not difference <= TOLERANCE:  # NaN neither
        raise FloatingPointError(
            f"the exported policy differs from the checkpoint by {difference:.1e}, more than "
            f"{TOLERANCE:.0e}: {out} is not written"
        )
    partial = out.with_name(f"{out.name}.partial")
    try:
        partial.write_bytes(buffer.getvalue())
        partial.replace(out)
    except OSError as error:
        raise UsageError(f"--out: cannot write {out}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return difference


def _difference(policy: RunPolicy, exported: torch.nn.Module) -> float:
    """The largest over tasks and normal observations, as one batch and alone."""
    generator = torch.Generator().manual_seed(0)
    worst = torch.zeros(())
    for index, name in enumerate(policy.task_names):
        obs = torch.randn(ROWS, policy.obs_size, generator=generator)  # [ROWS, O]
        for rows in (obs, obs[:1]):
            found: Tensor = exported(rows, torch.tensor(index))
            # maximum keeps a NaN, which then fails the comparison
            worst = torch.maximum(worst, (found - policy.act_padded(rows, name)).abs().max())
    return float(worst)


if __name__ == "__main__":
    main()
