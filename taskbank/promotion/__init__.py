"""Compares two versions of a task, and checks the requirements for promoting a version."""
