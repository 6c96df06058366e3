"""Tests of scripts/verification/."""
