"""Imports the passwords.yaml or .env file of an older system. A migration aid: nothing else depends on it."""
