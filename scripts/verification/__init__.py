"""Experiments on what a verification detects, and how often it is wrong."""
