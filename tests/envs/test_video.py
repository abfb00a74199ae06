"""Videos are written small, and show what happened."""

import io

import numpy as np
from PIL import Image, ImageSequence

from mtrl.envs.video import SUCCESS, write_gif


def test_a_gif_shows_each_picture_for_its_time_and_the_mark_in_its_colour():
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    pictures = []
    for place in range(4):
        picture = still.copy()
        picture[:8, 8 * place : 8 * place + 8] = SUCCESS
        pictures.append(picture)
    encoded = io.BytesIO()
    assert write_gif(encoded, [still, *pictures], rate=10) == 5
    with Image.open(encoded) as gif:
        frames = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(gif)]
        assert gif.info["duration"] == 100
    for place, frame in enumerate(frames[1:]):
        assert np.abs(frame[:8, 8 * place : 8 * place + 8] - SUCCESS).max() < 20
    assert len(encoded.getvalue()) < 5 * 64 * 64, "what stays as it was is not written again"
