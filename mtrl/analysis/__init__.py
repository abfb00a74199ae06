"""Turns run directories into tables, figures and pages, for evaluate, plot, report and compare."""
