"""The bank: a catalog of adapters and the blobs that hold their bytes."""
