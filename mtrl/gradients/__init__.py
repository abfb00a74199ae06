"""Computes per-task gradients and turns them into one direction."""
