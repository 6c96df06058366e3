"""Tests of scripts/paper/."""
