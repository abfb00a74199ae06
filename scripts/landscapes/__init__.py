"""Follows aggregators over the papers' two-dimensional toy problems."""
