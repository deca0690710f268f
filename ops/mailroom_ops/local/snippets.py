"""Programs that send a request: for a shell, for Node and for Python, without any package."""

import json
import pprint
import textwrap
from collections.abc import Mapping

from mailroom_ops.local.source_requests import SourceRequest

__all__ = ["snippets"]

LINE_WIDTH = 100


def snippets(request: SourceRequest, origin: str) -> Mapping[str, str]:
    """Return a program for each language."""
    return {"curl": request.to_curl(origin), "node": _node(request, origin), "python": _python(request, origin)}


def _node(request: SourceRequest, origin: str) -> str:
    """Return a script for Node 18 or later, Deno and Bun."""
    body = _javascript(request)
    return f"""\
const response = await fetch({json.dumps(origin + request.path)}, {{
  method: "POST",
  headers: {json.dumps(dict(request.headers), indent=2).replace(chr(10), chr(10) + "  ")},
  body: {body},
}});
console.log(response.status, await response.text());
"""


def _javascript(request: SourceRequest) -> str:
    """Return the body as an expression: readable where its bytes are not signed."""
    text = request.body.decode()
    if request.is_signed or not text.startswith("{"):
        return json.dumps(text)
    value = json.dumps(json.loads(text), indent=2, ensure_ascii=False).replace("\n", "\n  ")
    return f"JSON.stringify({value})"


def _python(request: SourceRequest, origin: str) -> str:
    text = request.body.decode()
    is_text = request.is_signed or not text.startswith("{")
    body = f"body = {text!r}" if is_text else f"body = json.dumps(\n{_literal(json.loads(text))}\n)"
    headers = _literal(dict(request.headers)).strip()
    return f"""\
{"" if is_text else "import json"}
import urllib.request

{body}
request = urllib.request.Request(
    {origin + request.path!r},
    data=body.encode(),
    headers={headers},
)
with urllib.request.urlopen(request) as response:
    print(response.status, response.read().decode())
""".lstrip()


def _literal(value: object) -> str:
    """Return a value as Python, indented."""
    return textwrap.indent(pprint.pformat(value, sort_dicts=False, width=LINE_WIDTH), "    ")
