"""Frees Meta-World's environments of redundant work in step and reset; results are the same to the bit.

Python, not MuJoCo, is what a step of the library waits for. :func:`fast_class` derives from one of its
environment classes one that computes the same numbers by shorter ways. Nothing of the library is changed:
another user of it in the same process does not notice. ``tests/envs/metaworld/test_fast.py`` holds the
identity of observations, rewards and success on all 50 tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import cache, cached_property
from math import sqrt
from types import FunctionType
from typing import Any, NamedTuple

import mujoco
import numpy as np
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from numpy.typing import NDArray

from mtrl.envs.metaworld import arithmetic

Array = NDArray[np.float64]
EVERYTHING = mujoco.mjtState.mjSTATE_INTEGRATION  # that the next step depends on
UPRIGHT = (1, 0, 1, 0)  # the hand's orientation


@cache
def fast_class(library_class: Any) -> Any:
    """A subclass of one of the library's environment classes with the same results in less time."""
    namespace = {"_gripper_caging_reward": SawyerXYZEnv._gripper_caging_reward, **vars(library_class)}
    rebound = {name: _rebind(value) for name, value in namespace.items() if not name.startswith("__")}
    return type(f"Fast{library_class.__name__}", (_Shortcuts, library_class), rebound)


def _rebind(value: Any) -> Any:
    """``value``, where it is a method, with its module's slow helpers replaced by ours.

    The task classes reach the helpers through names of their modules, so a copy of the function with other
    globals is what exchanges them for this subclass alone.
    """
    if isinstance(value, property):
        return property(_rebind(value.fget))
    if not isinstance(value, FunctionType):
        return value
    if "func" in value.__code__.co_freevars and value.__closure__ is not None:
        # The library's decorator, which asks at every call whether a task was set: reset() needs one anyway.
        return _rebind(value.__closure__[value.__code__.co_freevars.index("func")].cell_contents)
    names = {**value.__globals__, **REPLACED}
    copy = FunctionType(value.__code__, names, value.__name__, value.__defaults__, value.__closure__)
    copy.__kwdefaults__ = value.__kwdefaults__
    return copy


REPLACED = {
    "Rotation": arithmetic.Rotation,
    "reward_utils": arithmetic,
    "tolerance": arithmetic.tolerance,
}


class _Phase(Enum):
    """What a call of ``do_simulation`` is for."""

    STEPPING = auto()
    FIRST_SCENE = auto()
    SECOND_SCENE = auto()
    HAND_SETTLED = auto()


class _Views(NamedTuple):
    """Windows into MuJoCo's own memory, which stays where it is as long as the environment lives."""

    hand: Array  # [3], like the next ones
    right_claw: Array
    left_claw: Array
    right_finger: Array
    left_finger: Array
    mocap_pos: Array
    mocap_quat: Array  # [4]
    ctrl: Array  # [2]


class _Shortcuts(SawyerXYZEnv):
    """Each override gives what the library's method of that name gives."""

    _phase = _Phase.STEPPING

    @cached_property
    def _views(self) -> _Views:
        data = self.data
        return _Views(
            hand=data.body("hand").xpos,
            right_claw=data.body("rightclaw").xpos,
            left_claw=data.body("leftclaw").xpos,
            right_finger=data.site("rightEndEffector").xpos,
            left_finger=data.site("leftEndEffector").xpos,
            mocap_pos=data.mocap_pos[0],
            mocap_quat=data.mocap_quat[0],
            ctrl=data.ctrl,
        )

    @cached_property
    def _bodies(self) -> dict[str, Array]:
        return {}

    @cached_property
    def _sites(self) -> dict[str, Array]:
        return {}

    @cached_property
    def _pads(self) -> tuple[int, int]:
        return self.data.geom("leftpad_geom").id, self.data.geom("rightpad_geom").id

    @cached_property
    def _settled(self) -> dict[bytes, Array]:
        return {}

    def get_body_com(self, body_name: str) -> Array:
        view = self._bodies.get(body_name)
        if view is None:
            view = self._bodies[body_name] = self.data.body(body_name).xpos
        return view

    def get_endeff_pos(self) -> Array:
        return self._views.hand

    def _get_site_pos(self, site_name: str) -> Array:
        view = self._sites.get(site_name)
        if view is None:
            view = self._sites[site_name] = self.data.site(site_name).xpos
        return view.copy()

    @property
    def tcp_center(self) -> Array:
        return (self._views.right_finger + self._views.left_finger) / 2.0

    def touching_object(self, object_geom_id: int) -> bool:
        # The library walks twice through wrappers of the contacts; their arrays can be read once.
        left, right = self._pads
        left_force: Any = 0
        right_force: Any = 0
        contacts = self.data.contact
        for index, pair in enumerate(contacts.geom.tolist()):
            if object_geom_id in pair:
                if left in pair:
                    left_force += self.data.efc_force[contacts.efc_address[index]]
                if right in pair:
                    right_force += self.data.efc_force[contacts.efc_address[index]]
        return bool(left_force > 0 and right_force > 0)

    def _get_curr_obs_combined_no_goal(self) -> Array:
        position, quaternion = self._get_pos_objects(), self._get_quat_objects()
        if len(position) != 3 or len(quaternion) != 4:
            return super()._get_curr_obs_combined_no_goal()  # two objects, which the library interleaves
        views = self._views
        apart = views.right_claw - views.left_claw
        obs = np.zeros(18)
        obs[:3] = views.hand
        obs[3] = min(max(sqrt(apart.dot(apart)) / 0.1, 0.0), 1.0)
        obs[4:7] = position
        obs[7:11] = quaternion
        return obs

    def _get_obs(self) -> Array:
        goal = self._get_pos_goal()
        if self._partially_observable:
            goal = np.zeros_like(goal)
        current = self._get_curr_obs_combined_no_goal()
        obs = np.concatenate((current, self._prev_obs, goal))
        self._prev_obs = current
        return obs

    def step(self, action: NDArray[Any]) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        if self.curr_path_length >= self.max_path_length:
            raise ValueError("You must reset the env manually once truncate==True")
        views = self._views
        move = np.minimum(np.maximum(action[:3], -1), 1) * self.action_scale
        place = np.maximum(views.mocap_pos + move, self.mocap_low)
        np.minimum(place, self.mocap_high, out=views.mocap_pos)
        views.mocap_quat[:] = UPRIGHT
        views.ctrl[:] = (action[-1], -action[-1])
        mujoco.mj_step(self.model, self.data, nstep=self.frame_skip)
        # The library now computes forces that nothing reads, and moves sites that the next line moves back.
        mujoco.mj_forward(self.model, self.data)
        self.curr_path_length += 1
        space = self.sawyer_observation_space
        obs = np.minimum(np.maximum(self._get_obs(), space.low), space.high)
        reward, info = self.evaluate_state(obs, action)
        return obs, reward, False, self.curr_path_length == self.max_path_length, info

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        self.curr_path_length = 0
        # The library sets the scene twice, from the last episode's state and from a clean one. What the first
        # leaves behind is the places of bodies and sites in the model, which no simulation changes.
        self._phase = _Phase.FIRST_SCENE
        self.reset_model()
        mujoco.mj_resetData(self.model, self.data)
        self._phase = _Phase.SECOND_SCENE
        obs = self.reset_model()
        self._phase = _Phase.STEPPING
        self._prev_obs = obs[:18].copy()
        obs[18:36] = self._prev_obs
        return obs, {}

    def do_simulation(self, ctrl: Sequence[float], n_frames: int) -> None:
        """Called by ``_reset_hand`` alone, 50 times with the same arguments."""
        if self._phase is _Phase.SECOND_SCENE:
            self.data.ctrl[:] = ctrl
            self._settle_hand(50 * n_frames)
            self._phase = _Phase.HAND_SETTLED
        elif self._phase is _Phase.STEPPING:
            super().do_simulation(ctrl, n_frames)

    def _settle_hand(self, steps: int) -> None:
        """Simulate the hand's way to its start, or recall the outcome.

        It follows from a clean state and the places of the bodies alone. The state before the last step is
        what is kept: that step leaves the positions that it started from, and the library reads those.
        """
        key = self.model.body_pos.tobytes() + self.model.body_quat.tobytes()
        state = self._settled.get(key)
        if state is None:
            mujoco.mj_step(self.model, self.data, nstep=steps - 1)
            state = np.empty(mujoco.mj_stateSize(self.model, EVERYTHING))
            mujoco.mj_getState(self.model, self.data, state, EVERYTHING)
            self._settled[key] = state
        else:
            mujoco.mj_setState(self.model, self.data, state, EVERYTHING)
        mujoco.mj_step(self.model, self.data)
