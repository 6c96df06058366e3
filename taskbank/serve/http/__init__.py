"""The HTTP server: every task of a bank on one encoder."""
