"""Imports settings from older configuration files. A migration aid."""
