"""The command-line programs, installed as mtrl-train, mtrl-evaluate, ..."""
