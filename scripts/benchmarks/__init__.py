"""Times updates, aggregators, environments and memory, beside baselines of the same run."""
