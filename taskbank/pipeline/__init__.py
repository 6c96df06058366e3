"""Adds tasks to a bank, one or a suite of them."""
