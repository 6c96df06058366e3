"""Content-addressed blobs: in the catalog, in a folder, or at any fsspec URL."""
