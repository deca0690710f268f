"""A deterministic simulation of the delivery core: real code, virtual time, models of AWS and of the providers."""
