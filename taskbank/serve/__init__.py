"""Serves predictions of any number of tasks from one backbone in memory."""
