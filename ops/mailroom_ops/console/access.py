"""Access to the console: other users of this machine can reach its port, but cannot read the operator's terminal."""

import hmac
import secrets
import threading
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from mailroom_ops.web.server import Request

__all__ = ["Access"]


@dataclass
class Access:
    """The key in the printed address, exchanged once for the cookie of one browser."""

    one_time_key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def redeem(self, key: str, port: int) -> str | None:
        """Return the `set-cookie` value for the right key, the first time it is used; None otherwise."""
        with self._lock:
            if not (self.one_time_key and hmac.compare_digest(key.encode(), self.one_time_key.encode())):
                return None
            self.one_time_key = ""
        return f"{_cookie_name(port)}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"

    def is_granted(self, request: Request, port: int) -> bool:
        """Return whether a request carries the cookie."""
        try:
            cookie = SimpleCookie(request.header("cookie").replace(",", ";")).get(_cookie_name(port))
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._cookie.encode())


def _cookie_name(port: int) -> str:
    """Return a name of its own for each port: browsers send cookies to every port of a host."""
    return f"mailroom_console_{port}"
