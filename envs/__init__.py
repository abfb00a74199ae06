"""Suites of tasks: Meta-World and a toy."""
