"""Everything around the package: the demo, the tests, benchmarks and experiments."""
