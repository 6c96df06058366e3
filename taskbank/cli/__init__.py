"""The command line, with one file per command, prints what the library returns."""
