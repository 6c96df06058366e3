"""Trains one task: its data, plan, trials and training loop."""
