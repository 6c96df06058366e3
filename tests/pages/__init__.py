"""Tests of taskbank/history/."""
