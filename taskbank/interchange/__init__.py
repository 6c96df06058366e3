"""Exports adapters to open formats, and imports them after checking all their contents."""
