"""The `mailroom` command: what an operator types and sees. The work itself is done elsewhere in mailroom_ops."""
