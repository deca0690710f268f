"""The basis of all calls to other systems: HTTP over open connections, TLS, and AWS's signature."""
