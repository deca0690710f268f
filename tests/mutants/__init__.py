"""Deliberate breakages of the delivery core, each of which a test must notice."""
