"""Trains an agent: the loop, its options, evaluation, and the guard against non-finite numbers."""
