"""Pays for sliding a plate out of a cabinet: plate-slide-back-v3."""

from mtrl.envs.metaworld.warp.tasks.plate_slide_side import PlateSlideSide


class PlateSlideBack(PlateSlideSide):
    """plate-slide-back-v3: another way, shown and paid as at the side."""
