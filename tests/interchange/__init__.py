"""Tests of taskbank/interchange/."""
