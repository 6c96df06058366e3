"""The command line: one file a command; it prints what the library returns."""
