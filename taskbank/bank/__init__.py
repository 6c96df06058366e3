"""What is stored, behind one door: the catalog of adapters and their blobs."""
