"""Benchmarks of training, serving, commands and the catalog."""
