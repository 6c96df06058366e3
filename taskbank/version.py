"""The version of taskbank, in one place."""

__version__ = "0.1.0"
