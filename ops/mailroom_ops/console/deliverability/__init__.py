"""Deliverability: how much was sent over a time and what became of it, by provider and by tenant."""
