"""A real name server for the tests of sending domains."""

from tests.nameserver import nameserver

__all__ = ["nameserver"]
