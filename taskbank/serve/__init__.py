"""Predicts with any number of tasks on one backbone in memory."""
