"""Solves each aggregator's K x K problem in one launch on a GPU; the PyTorch code beside is the reference."""
