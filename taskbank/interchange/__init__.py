"""Exports adapters to open formats, and imports them after checking every byte."""
