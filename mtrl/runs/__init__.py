"""Reads and writes what a run leaves behind: directory, checkpoints, logs, manifest, policy."""
