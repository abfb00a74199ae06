"""Measures what the project does on a GPU, for scripts/gpu_check.py."""
