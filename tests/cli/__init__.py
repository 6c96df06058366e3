"""Tests of taskbank/cli/."""
