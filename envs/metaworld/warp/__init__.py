"""Simulates Meta-World's tasks in MuJoCo Warp, many worlds of a task at once, on the learner's device."""
