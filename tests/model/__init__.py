"""Tests of taskbank/model/."""
