"""Tests of taskbank/training/."""
