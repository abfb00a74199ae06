"""Turns Hydra's tree of options into the objects of a run."""
