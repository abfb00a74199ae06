"""Exports a run's policy to a file that PyTorch loads without mtrl, and compares the two."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtrl.errors import UsageError
from mtrl.runs.policy import DeterministicPolicy, RunPolicy

TOLERANCE = 1e-5  # rounding, in networks whose outputs are large
SAMPLES = 1000  # observations of each task that the two are compared on
FACTS = "policy.json"


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
    count = torch.export.Dim("observations")
    program = torch.export.export(module, example, dynamic_shapes=({0: count}, None), strict=False)
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
        raise UsageError(f"cannot write {out}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return difference


def _difference(policy: RunPolicy, exported: torch.nn.Module) -> float:
    """The largest over tasks and normal observations, as one batch and alone."""
    generator = torch.Generator().manual_seed(0)
    worst = torch.zeros(())
    for index, name in enumerate(policy.task_names):
        obs = torch.randn(SAMPLES, policy.obs_size, generator=generator)  # [SAMPLES, O]
        for some in (obs, obs[:1]):
            found: Tensor = exported(some, torch.tensor(index))
            # maximum keeps a NaN, which then fails the comparison
            worst = torch.maximum(worst, (found - policy.act_padded(some, name)).abs().max())
    return float(worst)
