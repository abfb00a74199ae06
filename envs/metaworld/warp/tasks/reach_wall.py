"""Pays for bringing the gripper to a place behind a wall: reach-wall-v3."""

from mtrl.envs.metaworld.warp.tasks.reach import Reach


class ReachWall(Reach):
    """reach-wall-v3: the wall changes the way there, not what is shown or paid."""
