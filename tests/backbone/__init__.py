"""Tests of taskbank/backbone/."""
