"""Takes a message to its outcome: claim, check, batch, send, record."""
