"""Tests of taskbank/workers/."""
