"""Records states of Meta-World's own environments, with what the library shows and pays in them."""

from dataclasses import dataclass, fields

import mujoco
import numpy as np
import torch
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP
from scipy.spatial.transform import Rotation as ScipyRotation

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
        fixed = task.episode(env)
        for _ in range(steps):
            action = expert.get_action(observation.copy()).astype(np.float32)  # some write into it
            if rng.random() < noise:
                action = rng.uniform(-1, 1, 4).astype(np.float32)
            previous = observation[:18]
            observation, reward, _, _, info = env.step(action)
            rows.append((snapshot(env, task), fixed, outcome(action, previous, observation, reward, info)))
    return recording(task, rows, dtype)


def record_placed(name, count, dtype=torch.float32, seed=0):
    """States that no policy had to reach: gripper, objects and target are put near each other."""
    env = new_env(name, seed)
    task = task_class(name)(env.model)
    rng = np.random.default_rng(seed)
    env.reset()
    fixed = task.episode(env)
    env.step(np.zeros(4, np.float32))
    begun = env.data.qpos.copy(), env.model.body_pos.copy()
    space = env.sawyer_observation_space
    rows = []
    for _ in range(count):
        env.data.qpos[:], env.model.body_pos[:] = begun
        put_together(env, rng)
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        previous = env._prev_obs
        observation = np.clip(env._get_obs(), space.low, space.high)
        reward, info = env.evaluate_state(observation, action)
        rows.append((snapshot(env, task), fixed, outcome(action, previous, observation, reward, info)))
    return recording(task, rows, dtype)


def put_together(env, rng):
    """Move fingers, doors and drawers; bring objects to the target and the whole robot to one of both."""
    model, data = env.model, env.data
    joints = [model.joint(index) for index in range(model.njnt)]
    for joint in joints:
        low, high = joint.range if joint.limited[0] else (-0.2, 0.2)
        if joint.type[0] != mujoco.mjtJoint.mjJNT_FREE and not joint.name.startswith("right_j"):
            data.qpos[joint.qposadr] = rng.uniform(low, high) + rng.choice((-0.3, 0.0, 0.3)) * (high - low)
    mujoco.mj_forward(model, data)
    for joint in joints:
        if joint.type[0] == mujoco.mjtJoint.mjJNT_FREE:
            position = slice(joint.qposadr[0], joint.qposadr[0] + 3)
            if rng.random() < 0.4:
                data.qpos[position] = env._target_pos
            data.qpos[position] += near(rng)
            if rng.random() < 0.3:
                data.qpos[position.stop : position.stop + 4] = ScipyRotation.random(None, rng).as_quat()
    mujoco.mj_forward(model, data)
    robot = model.body_pos[model.body_rootid[model.body("hand").id]]
    if rng.random() < 0.9:
        anchor = env._get_pos_objects()[:3] if rng.random() < 0.7 else env._target_pos
        robot += anchor + near(rng) - env.tcp_center
    else:
        robot += rng.normal(0, 1, 3)  # out of reach, where observations are clipped
    mujoco.mj_forward(model, data)


def near(rng):
    """A step of millimetres, centimetres or decimetres: [3]."""
    return rng.normal(0, rng.choice((0.004, 0.015, 0.1)), 3)


def outcome(action, previous, observation, reward, info):
    """What the library answered."""
    return {
        "action": action,
        "previous": previous,
        "observation": observation,
        "reward": float(reward),
        "success": bool(info["success"]),
    }


def recording(task, rows, dtype):
    """Of rows (state, what is fixed in its episode, outcome)."""
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
