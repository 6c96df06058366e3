"""Runs the jobs of a command: one after the other in this process, or on a Ray cluster."""
