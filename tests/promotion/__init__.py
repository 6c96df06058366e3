"""Tests of taskbank/promotion/."""
