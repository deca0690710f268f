"""The download of a logo from the web, as mail clients do it."""

import httpx

from mailroom_ops.errors import ServiceError
from mailroom_ops.templates.picture import MAX_BYTES
from mailroom_ops.tls import ssl_context

__all__ = ["download"]

TIMEOUT_SECONDS = 10.0


def download(url: str) -> bytes:
    """Return the content at an address, up to ten times the size of a large logo; raise ServiceError without it."""
    try:
        with httpx.stream("GET", url, timeout=TIMEOUT_SECONDS, verify=ssl_context(), follow_redirects=True) as response:
            if response.status_code != 200:
                state = f"is not there: {url} answers with {response.status_code}"
                raise ServiceError(state, "Upload it, or remove it from the brand.")
            content = b""
            for piece in response.iter_bytes():
                content += piece
                if len(content) > 10 * MAX_BYTES:
                    break
            return content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        todo = "Mail clients get it from the internet: check its host name and certificate."
        raise ServiceError(f"cannot be reached at {url}: {type(error).__name__}", todo) from error
