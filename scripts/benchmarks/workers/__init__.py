"""Processes that benchmarks start, some of them in the environments of other libraries."""
