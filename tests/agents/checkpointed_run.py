"""A run directory with the checkpoint of an agent, without the training."""

from omegaconf import OmegaConf

from mtrl.runs.directory import RunDirectory
from tests.agents.built_agents import agent_config, build

STEP = 30


def write_checkpointed_run(path, name, spec, *, seed=0, **options):
    """Files as ``scripts/train.py`` leaves them; the agent whose checkpoint they hold."""
    agent = build(name, spec, seed=seed, **options)
    files = RunDirectory(path)
    files.checkpoints.mkdir(parents=True)
    files.config.write_text(OmegaConf.to_yaml(agent_config(name, **options), resolve=True))
    sizes = {"obs_size": spec.obs_size, "action_size": spec.action_size}
    files.write_manifest({"suite": {"tasks": list(spec.task_names), **sizes}})
    files.save(STEP, {"agent": agent.state_dict()}, keep=2)
    return agent
