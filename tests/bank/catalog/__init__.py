"""Tests of taskbank/bank/catalog/."""
