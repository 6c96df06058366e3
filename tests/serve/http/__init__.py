"""Tests of taskbank/serve/http/."""
