"""Tests of taskbank/pipeline/."""
