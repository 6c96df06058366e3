"""Adds single tasks or suites of tasks to a bank."""
