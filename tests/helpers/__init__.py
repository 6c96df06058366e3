"""Shared by tests: tiny backbones, small data, adapters made without training."""
