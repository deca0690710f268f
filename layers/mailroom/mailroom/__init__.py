"""The serverless mailroom of an auth server."""

from mailroom import dataclass_methods

dataclass_methods.install(__path__[0])  # before any module with a dataclass
