"""The frozen encoder: its loading, its identity, and its computation with tasks' changes."""
