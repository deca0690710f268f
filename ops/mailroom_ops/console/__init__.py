"""The operator's console: pages on the loopback about one environment, with the operator's own credentials."""
