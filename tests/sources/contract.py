"""Recorded requests of auth servers, and their vectors: see `contracts` in tests/conftest.py."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Sample", "sample", "samples", "vectors"]


class Sample:
    """One recorded request, and what an adapter must find in it."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        request = content["request"]
        self.id: str = content.get("id", "")
        self.body: str = request["body"]
        self.headers = {name.lower(): value for name, value in request["headers"]}
        self.at: float = content.get("verify_at", 0)
        self.expect: dict[str, Any] = content.get("expect", {})

    def with_changes(self, vector: Mapping[str, Any]) -> "Sample":
        """Return the request that a vector describes: another body, other headers, or some left out."""
        changed = Sample(self.content)
        changed.body = vector.get("body", self.body)
        changed.headers |= {name.lower(): value for name, value in vector.get("headers", {}).items()}
        for name in vector.get("drop", ()):
            del changed.headers[name.lower()]
        changed.at = vector.get("verify_at", self.at)
        return changed


def samples(contracts: Path, source: str) -> list[Sample]:
    folder = contracts / "auth-servers" / source / "samples"
    return [Sample(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))]


def sample(contracts: Path, source: str, name: str) -> Sample:
    path = contracts / "auth-servers" / source / "samples" / f"{name}.json"
    return Sample(json.loads(path.read_text(encoding="utf-8")))


def vectors(contracts: Path, source: str) -> dict[str, Any]:
    path = contracts / "auth-servers" / source / "vectors.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
