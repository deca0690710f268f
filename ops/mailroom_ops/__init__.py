"""The operator's side of Mailroom: never deployed."""
