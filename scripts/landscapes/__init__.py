"""Follows aggregators over the papers' two-dimensional toy problems, and draws their paths."""
