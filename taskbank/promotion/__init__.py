"""Compares two versions of a task, and checks what a version must fulfil to go live."""
