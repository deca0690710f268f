"""The guard of local pages: other sites must not reach pages that are for this machine alone."""

from urllib.parse import urlsplit

from mailroom_ops.web.server import Request, Response, refusal

__all__ = ["reject_cross_origin"]

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD"})


def reject_cross_origin(request: Request) -> Response | None:
    """Return a 403 for another host name (DNS rebinding) or a change posted by another site; None otherwise."""
    if _host_name(request.header("host")) not in LOCAL_NAMES:
        return refusal(403, "Open this page as 127.0.0.1 or localhost.")
    if request.method not in SAFE_METHODS and not _is_same_origin(request):
        return refusal(403, "Requests from other sites are not allowed.")
    return None


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_same_origin(request: Request) -> bool:
    origin, site = request.header("origin"), request.header("sec-fetch-site")
    if site:
        # The browser's own judgment. It holds behind the port forwarding of a dev container as well, where the host is
        # localhost, and the origin is the forwarded address. https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
        return site in ("same-origin", "none")
    try:
        return not origin or urlsplit(origin).netloc == request.header("host")
    except ValueError:
        return False
