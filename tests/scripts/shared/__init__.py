"""Tests of scripts/shared/."""
