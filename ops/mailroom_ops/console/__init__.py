"""The operator's console: pages about one environment, on loopback, with the operator's own AWS credentials."""
