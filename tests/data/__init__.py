"""Tests of taskbank/data/."""
