"""URLs as a browser reads them: Node's implementation of the URL standard, https://url.spec.whatwg.org."""

import json
import subprocess
from collections.abc import Sequence
from shutil import which

import pytest

PARSE = """
const urls = JSON.parse(require("fs").readFileSync(0, "utf8"));
const host = (url) => { try { return new URL(url).hostname } catch { return null } };
console.log(JSON.stringify(urls.map(host)));
"""


def hosts(urls: Sequence[str]) -> list[str | None]:
    """Return the host that a browser would connect to for each URL; None for a URL that it refuses."""
    if not which("node"):
        pytest.skip("needs node")
    done = subprocess.run(["node", "-e", PARSE], input=json.dumps(urls), capture_output=True, text=True, check=True)
    parsed: list[str | None] = json.loads(done.stdout)
    return parsed
