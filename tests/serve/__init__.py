"""Tests of taskbank/serve/."""
