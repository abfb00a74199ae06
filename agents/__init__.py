"""Holds the SAC agents, their losses and their networks."""
