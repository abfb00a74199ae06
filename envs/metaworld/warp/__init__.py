"""Simulates Meta-World in MuJoCo Warp: many worlds of each task at once, where they are learnt from."""
