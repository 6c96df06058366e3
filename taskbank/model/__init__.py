"""Backbone, adaptation and head together: loads stored tasks and predicts with them."""
