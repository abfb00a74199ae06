"""Multi-task reinforcement learning with gradient aggregation."""
