"""Attacks on the promises of taskbank, each a script that counts what happened."""
