"""Content-addressed bytes: in the catalog, in a folder, or at any fsspec URL."""
