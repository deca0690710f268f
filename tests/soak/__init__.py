"""A soak: mixed traffic with faults at a steady rate, through the running local stack."""
