"""Tests of taskbank/kinds/."""
