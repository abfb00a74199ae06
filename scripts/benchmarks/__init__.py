"""Measures the time and memory of updates, aggregators and environments, beside baselines of the same run."""
