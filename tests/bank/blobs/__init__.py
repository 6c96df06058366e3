"""Tests of taskbank/bank/blobs/."""
