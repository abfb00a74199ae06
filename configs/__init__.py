"""Holds Hydra's tree: the presets of each part and of whole runs."""
