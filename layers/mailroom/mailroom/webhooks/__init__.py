"""Inbound webhooks: what the sources and the providers' reports have in common, mainly how they are authenticated."""
