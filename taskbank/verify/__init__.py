"""Verification: the checks, and the report that they give. Checks only look."""
