"""Tests of taskbank/runtime/."""
