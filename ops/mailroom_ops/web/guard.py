"""Who may ask at all: a page from elsewhere must not reach what is for this machine alone."""

from urllib.parse import urlsplit

from mailroom_ops.web.server import Request, Response, refusal

__all__ = ["refused"]

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE = frozenset({"GET", "HEAD"})


def refused(request: Request) -> Response | None:
    """Refuse a name that only resolves to 127.0.0.1, and what another site's page posts here; None if all is well."""
    if _name(request.header("host")) not in LOCAL_NAMES:
        return refusal(403, "Open this page as 127.0.0.1 or localhost.")
    if request.method not in SAFE and not _same_origin(request):
        return refusal(403, "Another site may not do this.")
    return None


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _same_origin(request: Request) -> bool:
    origin, site = request.header("origin"), request.header("sec-fetch-site")
    # A form of a page with `referrer-policy: no-referrer` has the origin `null`, as a stranger's sandboxed frame has.
    if origin == "null":
        return site == "same-origin"
    if site not in ("", "same-origin", "none"):
        return False
    return not origin or urlsplit(origin).netloc == request.header("host")
