"""Labelled text: read from files and the hub, checked, and cut into batches."""
