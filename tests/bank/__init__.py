"""Tests of taskbank/bank/."""
