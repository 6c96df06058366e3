"""Argument parsers, tables and figures for all scripts."""
