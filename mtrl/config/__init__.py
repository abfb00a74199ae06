"""Turns names, options and Python objects into a checked configuration, and that into the parts of a run."""
