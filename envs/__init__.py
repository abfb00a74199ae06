"""Holds the suites of tasks: Meta-World, Gymnasium's environments, a point mass; and what steps them."""
