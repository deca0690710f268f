"""The key of the console: other users of this machine reach the port too, but not the operator's terminal."""

import hmac
import secrets
import threading
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from mailroom_ops.web.server import Request

__all__ = ["Key"]


@dataclass
class Key:
    """`once` is in the printed address and opens one browser, which then holds `_cookie`."""

    once: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def turn(self, given: str, port: int) -> str | None:
        """Return the cookie to set for the right key; it works once."""
        with self._lock:
            if not (self.once and hmac.compare_digest(given.encode(), self.once.encode())):
                return None
            self.once = ""
        return f"{_name(port)}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"

    def is_held(self, request: Request, port: int) -> bool:
        """Tell whether a request comes from the browser that was let in."""
        try:
            found = SimpleCookie(request.header("cookie").replace(",", ";")).get(_name(port))
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), self._cookie.encode())


def _name(port: int) -> str:
    """Cookies know no port: two consoles must not share one."""
    return f"mailroom_console_{port}"
