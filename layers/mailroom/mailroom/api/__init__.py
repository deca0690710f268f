"""The `send` API: lambda invoke and HTTP."""
