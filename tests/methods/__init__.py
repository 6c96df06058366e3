"""Tests of taskbank/methods/."""
