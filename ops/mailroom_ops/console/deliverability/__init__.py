"""Deliverability: email volume and outcomes over a period, by provider and tenant."""
