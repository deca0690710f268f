"""Outcome events: from the place where an outcome is recorded, over a queue, to the endpoint of the tenant."""
