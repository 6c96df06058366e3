"""Argument parsers, tables, figures, small suites and Ray clusters for all scripts."""
