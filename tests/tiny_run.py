"""What the tests of the programs share: a tiny run, and a way to read its metrics."""

import json

TINY = [
    "experiment=toy",
    "agent.network.hidden=[8]",
    "steps_per_task=60",
    "warmup_steps=10",
    "batch_size=4",
    "log_interval=20",
    "evaluation_interval=30",
    "evaluation_episodes=2",
    "final_episodes=2",
    "conflict_interval=1",
]

FILMABLE = [
    "env=custom",
    "env.tasks=[reach-v3,drawer-close-v3]",
    "env.horizon=10",
    "env.workers=0",
    "agent.network.hidden=[8]",
    "steps_per_task=12",
    "warmup_steps=10",
    "batch_size=4",
    "final_episodes=1",
]


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_times(path):
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows(path)]
