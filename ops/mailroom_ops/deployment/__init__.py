"""Deploy an environment: check the target, build, and call `sam deploy` with all of its parameters."""
