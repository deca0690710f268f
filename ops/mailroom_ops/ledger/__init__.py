"""Look-ups in the ledger and the dead-letter queues, for the command and the console."""
