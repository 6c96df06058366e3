"""Copies the rows of one catalog into another."""
