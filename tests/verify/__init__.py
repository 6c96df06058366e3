"""Tests of taskbank/verify/."""
