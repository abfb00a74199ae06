"""Records states of Meta-World's own environments, with what the library shows and pays in them."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP

from mtrl.envs.metaworld.warp.state import WorldState
from mtrl.envs.metaworld.warp.tasks import task_class


@dataclass
class Recording:
    """N states of a task, as if each were a world of its own."""

    task: object
    state: WorldState
    episode: dict[str, torch.Tensor]
    action: torch.Tensor  # [N, 4]
    previous: torch.Tensor  # [N, 18]
    observation: torch.Tensor  # [N, 39], the library's, as the next two
    reward: torch.Tensor  # [N]
    success: torch.Tensor  # [N]

    def computed(self):
        """Observation, reward and success of these states by our task."""
        observation = self.task.observe(self.state, self.episode, self.previous)
        return (observation, *self.task.reward(observation, self.action, self.state, self.episode))


def new_env(name, seed=0):
    """The library's environment, which draws a goal of its own at each reset."""
    env = ALL_V3_ENVIRONMENTS[name](reward_function_version="v2")
    env._set_task_called = True
    env._partially_observable = False
    env.__dict__.pop("sawyer_observation_space", None)
    env._freeze_rand_vec = False
    env.seeded_rand_vec = True
    env.np_random = np.random.RandomState(seed)
    return env


def record(name, episodes, dtype=torch.float32, seed=0):
    """States of episodes, each given as (steps, share of random actions): 0 is the library's expert."""
    env = new_env(name, seed)
    task = task_class(name)(env.model)
    rng = np.random.default_rng(seed)
    expert = ENV_POLICY_MAP[name]()
    rows = []
    for steps, noise in episodes:
        observation, _ = env.reset()
        # The library lets each reset draw; the second of the two draws within one reset is what counts.
        fixed = task.episode(env)
        for _ in range(steps):
            action = expert.get_action(observation.copy()).astype(np.float32)  # some write into it
            if rng.random() < noise:
                action = rng.uniform(-1, 1, 4).astype(np.float32)
            previous = observation[:18]
            observation, reward, _, _, info = env.step(action)
            outcome = {"action": action, "observation": observation, "previous": previous}
            outcome |= {"reward": float(reward), "success": bool(info["success"])}
            rows.append((snapshot(env, task), fixed, outcome))
    states, constants, outcomes = (stacked(part, dtype) for part in zip(*rows, strict=True))
    return Recording(task, WorldState(**states), constants, **outcomes)


def snapshot(env, task):
    """What :class:`WorldState` holds, of one environment."""
    data = env.data
    state = {field.name: getattr(data, field.name).copy() for field in fields(WorldState)[:-1]}
    for name in ("xmat", "geom_xmat", "site_xmat"):
        state[name] = state[name].reshape(-1, 3, 3)
    state["mocap_pos"] = state["mocap_pos"][0]
    if task.touched_geom is not None:
        state["touching"] = env.touching_object(env.data.geom(task.touched_geom).id)
    return state


def stacked(parts, dtype):
    """One dictionary of tensors [N, ...] of N dictionaries of arrays."""
    arrays = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    return {
        name: torch.as_tensor(array, dtype=None if array.dtype == bool else dtype)
        for name, array in arrays.items()
    }
