"""Ledger queries and dead letters, for the command and the console."""
