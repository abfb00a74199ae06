"""Holds the command-line programs: each parses, calls and prints."""
