"""Verification: checks that never change what they check, and the report of their results."""
