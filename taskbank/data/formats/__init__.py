"""The formats of labelled text, one module each, and the registry of them."""
