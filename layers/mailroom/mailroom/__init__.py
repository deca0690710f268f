"""The serverless mailroom of an auth server."""
