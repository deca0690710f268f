"""Asking DNS, through the resolver of this machine or another one."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mailroom_ops.errors import InvalidInput

__all__ = ["Answer", "Dns"]

PATIENCE = 5.0  # seconds for one question, all servers and tries together
LONGEST_CHAIN = 8
SILENT = "DNS does not answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is there; with a `problem` it is not known."""

    values: tuple[str, ...] = ()
    problem: str = ""


class Dns:
    """Asks once for each name and type; `servers` are addresses, each perhaps with a port: 127.0.0.1:5353, [::1]:53."""

    def __init__(self, servers: Sequence[str] = ()) -> None:
        self._servers = [_address(server) for server in servers]
        self._known: dict[tuple[str, str], Answer] = {}
        self._silent = False

    def ask(self, name: str, kind: str) -> Answer:
        """Return the records of a name; text whole, host names in lower case and without the dot at the end."""
        if (name, kind) not in self._known:
            # One that has not answered once is not waited for again.
            self._known[name, kind] = Answer(problem=SILENT) if self._silent else self._ask(name, kind)
        return self._known[name, kind]

    @cached_property
    def _resolver(self) -> Any:
        import dns.resolver

        if not self._servers:
            try:
                return dns.resolver.Resolver()
            except dns.resolver.NoResolverConfiguration as error:
                raise InvalidInput(
                    "This machine knows no DNS server.", "Name one with --resolver, such as 9.9.9.9."
                ) from error
        import dns.nameserver

        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in self._servers]
        return resolver

    def _ask(self, name: str, kind: str) -> Answer:
        import dns.exception
        import dns.resolver

        try:
            answer = self._resolver.resolve(name, kind, search=False, lifetime=PATIENCE)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return Answer()
        except dns.resolver.LifetimeTimeout:
            self._silent = True
            return Answer(problem=SILENT)
        except dns.resolver.NoNameservers:
            looping = kind != "CNAME" and self._loops(name)
            return Answer(problem="its CNAME leads in a circle" if looping else "DNS cannot resolve it (SERVFAIL)")
        except dns.exception.DNSException as error:
            return Answer(problem=f"DNS cannot resolve it ({type(error).__name__})")
        return Answer(tuple(_text(item, kind) for item in answer))

    def _loops(self, name: str) -> bool:
        """Follow a chain of CNAMEs by hand, which a resolver gives up on without a word."""
        seen: set[str] = set()
        while name not in seen and len(seen) < LONGEST_CHAIN:
            seen.add(name)
            targets = self.ask(name, "CNAME").values
            if not targets:
                return False
            name = targets[0]
        return True


def _text(item: Any, kind: str) -> str:
    if kind == "TXT":
        return b"".join(item.strings).decode("utf-8", "replace")
    if kind == "MX":
        return f"{item.preference} {str(item.exchange).rstrip('.').lower()}"
    return str(item).rstrip(".").lower()


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":") if "]" in server or server.count(":") == 1 else (server, "", "53")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        ipaddress.ip_address(host)
        if not 0 < int(port) < 65536:
            raise ValueError(port)
    except ValueError as error:
        raise InvalidInput(
            f"{server!r} is not the address of a resolver.", "Write 9.9.9.9, 127.0.0.1:5353 or [::1]:53."
        ) from error
    return host, int(port)
