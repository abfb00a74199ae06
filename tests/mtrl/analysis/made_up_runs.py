"""Run directories as training leaves them, with figures made up from a seed."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
from omegaconf import OmegaConf

from mtrl.config.build import resolve
from mtrl.config.compose import compose_config

TOY = ("turn-0", "turn-90", "turn-180", "turn-270")


@cache
def config(*overrides):
    return OmegaConf.to_container(resolve(compose_config(list(overrides)), list(overrides)))


def make_up_run(
    path,
    *overrides,
    seed=0,
    tasks=TOY,
    skill=0.5,
    evaluations=4,
    finished=True,
    metrics=True,
    created="2030-01-01",
):
    """A run whose success grows towards ``skill``; 1,000 steps between two evaluations."""
    path.mkdir(parents=True)
    rng = np.random.default_rng([seed, len(str(overrides))])
    OmegaConf.save(config(*(overrides or ("experiment=toy",))) | {"seed": seed}, path / "config.yaml")
    manifest = {"created": created, "seed": seed, "suite": {"tasks": list(tasks)}}
    (path / "manifest.json").write_text(json.dumps(manifest))
    num, rows, lines = len(tasks), [], []
    pairs = num * (num - 1) // 2
    for index in range(1, evaluations + 1):
        final = finished and index == evaluations
        episodes = 20 if final else 10
        chance = np.clip(skill * index / evaluations + rng.normal(0, 0.05, num), 0, 1)
        success = rng.binomial(episodes, chance) / episodes
        rows.append(
            {
                "step": 1000 * index,
                "total_steps": 1000 * index * num,
                "updates": 1000 * index,
                "final": final,
                "episodes_per_task": episodes,
                "mean_success": float(success.mean()),
                "success": dict(zip(tasks, success.tolist(), strict=True)),
                "return": dict(zip(tasks, (10 * success).tolist(), strict=True)),
            }
        )
        weights = dict(zip(tasks, rng.dirichlet(np.full(num, 5.0)), strict=True))
        lines.append(
            {
                "step": 1000 * index,
                **{f"{part}/cosine": rng.uniform(-0.4, 0.8, pairs).round(4).tolist() for part in PARTS},
                **{f"{part}/weight/{task}": weights[task] for part in PARTS for task in tasks},
            }
        )
    (path / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if metrics:
        (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


PARTS = ("actor", "critic")
