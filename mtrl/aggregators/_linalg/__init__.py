"""Solves the small K x K problems that aggregators share; not part of the public interface."""
