"""DNS queries, through the resolver of this machine or through servers that the operator names."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mailroom_ops.errors import InvalidInput, ServiceError

__all__ = ["RETRY", "Answer", "Dns", "DnsError"]

QUERY_TIMEOUT_SECONDS = 5.0  # for one query, all servers and retries together
MAX_CNAME_HOPS = 8
NO_ANSWER = "DNS does not answer"
RETRY = "Try again later, or another resolver with --resolver."


class DnsError(ServiceError):
    """A query failed, so that nothing is known about the name."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, RETRY)


@dataclass(frozen=True, slots=True)
class Answer:
    """The records of one name and type; with an `error`, they are unknown."""

    values: tuple[str, ...] = ()
    error: str = ""
    name_exists: bool = True  # False after NXDOMAIN: the name has no record of any type, nor has a name below it


class Dns:
    """Queries each name and type once; `servers` are addresses, with or without a port: 127.0.0.1:5353, [::1]:53."""

    def __init__(self, servers: Sequence[str] = ()) -> None:
        self._servers = [_address(server) for server in servers]
        self._answers: dict[tuple[str, str], Answer] = {}
        self._timed_out = False

    def query(self, name: str, type_: str) -> Answer:
        """Return the records of a name: TXT strings joined, host names in lower case and without the final dot."""
        if (name, type_) not in self._answers:
            # After one timeout, the servers are not waited for again.
            self._answers[name, type_] = Answer(error=NO_ANSWER) if self._timed_out else self._query(name, type_)
        return self._answers[name, type_]

    @cached_property
    def _resolver(self) -> Any:
        import dns.resolver

        if not self._servers:
            try:
                return dns.resolver.Resolver()
            except dns.resolver.NoResolverConfiguration as error:
                raise InvalidInput(
                    "This machine has no DNS server configured.", "Name one with --resolver, such as 9.9.9.9."
                ) from error
        import dns.nameserver

        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in self._servers]
        return resolver

    def _query(self, name: str, type_: str) -> Answer:
        import dns.exception
        import dns.resolver

        try:
            answer = self._resolver.resolve(name, type_, search=False, lifetime=QUERY_TIMEOUT_SECONDS)
        except dns.resolver.NXDOMAIN:
            return Answer(name_exists=False)
        except dns.resolver.NoAnswer:
            return Answer()
        except dns.resolver.LifetimeTimeout:
            self._timed_out = True
            return Answer(error=NO_ANSWER)
        except dns.resolver.NoNameservers:
            is_loop = type_ != "CNAME" and self._has_cname_loop(name)
            return Answer(error="its CNAME chain is a loop" if is_loop else "DNS cannot resolve it (SERVFAIL)")
        except dns.exception.DNSException as error:
            return Answer(error=f"DNS cannot resolve it ({type(error).__name__})")
        return Answer(tuple(_text(record, type_) for record in answer))

    def _has_cname_loop(self, name: str) -> bool:
        """Follow a chain of CNAMEs step by step, because a resolver reports a loop as SERVFAIL."""
        visited: set[str] = set()
        while name not in visited and len(visited) < MAX_CNAME_HOPS:
            visited.add(name)
            targets = self.query(name, "CNAME").values
            if not targets:
                return False
            name = targets[0]
        return True


def _text(record: Any, type_: str) -> str:
    if type_ == "TXT":
        return b"".join(record.strings).decode("utf-8", "replace")
    if type_ == "MX":
        return f"{record.preference} {str(record.exchange).rstrip('.').lower()}"
    return str(record).rstrip(".").lower()


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
            f"{server!r} is not the address of a resolver.", "Use 9.9.9.9, 127.0.0.1:5353 or [::1]:53."
        ) from error
    return host, int(port)
