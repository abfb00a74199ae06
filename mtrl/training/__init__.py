"""Trains an agent: the loop, its options, evaluation, watch over non-finite numbers."""
