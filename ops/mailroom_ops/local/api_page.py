"""The API page at /docs: the OpenAPI document of `send` as a page, with a command for each example."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mailroom_ops.web.frame import Frame
from mailroom_ops.web.pages import asset
from mailroom_ops.web.server import Request, Response, refusal

__all__ = ["FOLDER", "ApiPage"]

FOLDER = Path(__file__).with_name("api")  # template and style sheet
KEYS = "api/keys/"
# In the order of reading. An operation links to the schemas that it uses.
SCHEMAS = (
    *("SendRequest", "Data", "Button", "Kind", "SecurityEvent", "Batch"),
    *("Answer", "Refusal", "Problem", "Results", "Email", "Entry", "Status", "EventType"),
)
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class ApiPage:
    """Serves the page. `url` is the address of the local stack."""

    frame: Frame
    root: Path
    url: str
    secrets_file: Path

    def answer(self, request: Request) -> Response | None:
        """Return the response to a request; None for a path outside the page."""
        match request.path.strip("/").split("/"):
            case ["docs", *_] if request.method not in ("GET", "HEAD"):
                return refusal(405, "Method Not Allowed")
            case ["docs"]:
                return self.frame.page("api", self._values())
            case ["docs", name]:
                return asset(name, FOLDER) or refusal(404, "Not Found")
        return None

    def _values(self) -> dict[str, Any]:
        document = json.loads((self.root / "functions" / "send" / "openapi.json").read_text(encoding="utf-8"))
        schemas = document["components"]["schemas"]
        return {
            "title": document["info"]["title"],
            "description": document["info"]["description"],
            "key": self._api_key(),
            "operations": list(self._operations(document)),
            "schemas": [_schema(name, schemas[name]) for name in SCHEMAS],
        }

    def _operations(self, document: Schema) -> Iterator[dict[str, Any]]:
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                yield {
                    "id": operation["operationId"],
                    "method": method.upper(),
                    "path": path,
                    "summary": operation["summary"],
                    "parameters": [
                        {
                            "name": parameter["name"],
                            "place": parameter["in"],
                            "required": parameter.get("required", False),
                            "types": _types(parameter["schema"]),
                            "limits": list(_limits(parameter["schema"])),
                            "description": _prose(parameter["description"]),
                        }
                        for parameter in operation.get("parameters", [])
                    ],
                    "body": _types(_content(operation["requestBody"])["schema"]) if "requestBody" in operation else [],
                    "examples": list(self._commands(path, operation)),
                    "responses": [_response(status, response) for status, response in operation["responses"].items()],
                }

    def _commands(self, path: str, operation: Schema) -> Iterator[dict[str, str]]:
        """Yield a name and a command for each example of a request."""
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
        command = f"curl {self.url}{path} -H {shlex.quote(f'Authorization: Bearer {self._api_key()}')}"
        if "requestBody" not in operation:
            yield {"name": "look up", "command": command}
            return
        for name, example in _content(operation["requestBody"])["examples"].items():
            body = json.dumps(example["value"], ensure_ascii=False)
            yield {"name": name, "command": f"{command} \\\n  --json {shlex.quote(body)}"}

    def _api_key(self) -> str:
        secrets = yaml.safe_load(self.secrets_file.read_text(encoding="utf-8"))
        return next((str(value) for name, value in secrets.items() if name.startswith(KEYS)), "KEY")


def _content(body: Schema) -> Schema:
    content: Schema = body["content"]["application/json"]
    return content


def _response(status: str, response: Schema) -> dict[str, Any]:
    examples = _content(response)["examples"]
    return {
        "status": status,
        "description": response["description"],
        "types": _types(_content(response)["schema"]),
        "examples": [
            {"name": name, "json": json.dumps(example["value"], indent=2, ensure_ascii=False)}
            for name, example in examples.items()
        ],
    }


def _schema(name: str, schema: Schema) -> dict[str, Any]:
    required = schema.get("required", [])
    return {
        "name": name,
        "description": _prose(schema.get("description", "")),
        "values": schema.get("enum", []),
        "fields": [
            {
                "name": field,
                "required": field in required,
                "types": _types(value),
                "limits": list(_limits(value)),
                "description": _prose(value.get("description", "")),
            }
            for field, value in schema.get("properties", {}).items()
        ],
    }


def _prose(text: str) -> list[tuple[str, bool]]:
    """Return the parts of a description, and whether each is code: it stands between backticks."""
    return [(part, number % 2 == 1) for number, part in enumerate(text.split("`"))]


def _types(schema: Schema) -> list[dict[str, str]]:
    """Return the types of a value, each as text and, for a schema of the page, its name."""
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            types = [part for choice in schema[keyword] for part in _types(choice)]
            return [part for number, part in enumerate(types) if part not in types[:number]]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [{"text": name, "schema": name if name in SCHEMAS else ""}]
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return [{"text": f'"{value}"', "schema": ""} for value in values]
    match schema.get("type"):
        case "array":
            return [{**item, "text": f"list of {item['text']}"} for item in _types(schema.get("items", {}))]
        case list() as names:
            return [{"text": " or ".join(names), "schema": ""}]
        case str(name):
            return [{"text": schema.get("format", name) if name == "string" else name, "schema": ""}]
    return [{"text": "any value", "schema": ""}]


def _limits(schema: Schema) -> Iterator[str]:
    names = {
        "maxLength": "at most {} characters",
        "minimum": "at least {}",
        "maximum": "at most {}",
        "maxItems": "at most {} items",
    }
    for keyword, text in names.items():
        if keyword in schema:
            yield text.format(schema[keyword])
