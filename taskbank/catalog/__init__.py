"""The catalog: every table, every query, and the records they give. Knows nothing of torch."""
