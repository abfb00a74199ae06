"""Pays for pressing a handle down from the side: handle-press-side-v3."""

from mtrl.envs.metaworld.warp.tasks.handle_press import HandlePress


class HandlePressSide(HandlePress):
    """handle-press-side-v3: the handle lies elsewhere and is shown and paid in the same way."""
