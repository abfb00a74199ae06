"""Pays for sliding a plate out of a cabinet at the side: plate-slide-back-side-v3."""

from mtrl.envs.metaworld.warp.tasks.plate_slide_side import PlateSlideSide


class PlateSlideBackSide(PlateSlideSide):
    """plate-slide-back-side-v3: the way back, shown and paid in the same way."""
