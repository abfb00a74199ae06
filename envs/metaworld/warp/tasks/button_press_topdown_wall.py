"""Pays for pressing a button from above, behind a wall: button-press-topdown-wall-v3."""

from torch import Tensor

from mtrl.envs.metaworld.warp.tasks.button_press_topdown import ButtonPressTopdown


class ButtonPressTopdownWall(ButtonPressTopdown):
    """button-press-topdown-wall-v3: as without the wall, but here the open gripper is paid."""

    def closing(self, observation: Tensor) -> Tensor:
        return observation[:, 3].clamp(min=0.0)
