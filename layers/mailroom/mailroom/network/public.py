"""Connections to public addresses only: a URL that somebody chose must not lead into our own network.

A name is resolved once, every address is checked, and the connection goes to a checked address: a name that resolves to
another one a moment later (DNS rebinding) changes nothing.
"""

import socket
from ipaddress import IPv4Address, IPv6Network, ip_address

__all__ = ["MAX_ADDRESSES", "connect_anywhere", "connect_to_public", "is_public"]

MAX_ADDRESSES = 3  # of one name, that are tried: each may take the whole timeout
GLOBAL_UNICAST = IPv6Network("2000::/3")
# They contain an IPv4 address, or a network of somebody else's choice (6to4, Teredo).
TUNNELS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))


class PrivateAddress(OSError):
    """A name resolves to an address that is not public."""


def connect_to_public(address: tuple[str, int], timeout: float) -> socket.socket:
    """Connect to a host that has public addresses only; raise PrivateAddress for any other."""
    entries = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    if not all(is_public(str(entry[4][0])) for entry in entries):
        raise PrivateAddress
    failure: OSError = PrivateAddress()
    for family, kind, protocol, _, target in entries[:MAX_ADDRESSES]:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(timeout)
            sock.connect(target)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def connect_anywhere(address: tuple[str, int], timeout: float) -> socket.socket:
    """Connect to any host; for the local stack."""
    return socket.create_connection(address, timeout)


def is_public(text: str) -> bool:
    """Return whether an IP address is one that everybody on the internet can reach, and nobody's own network."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return True
    # Outside of it are IPv4-mapped addresses and NAT64, which lead to IPv4 addresses of any kind.
    return address in GLOBAL_UNICAST and not any(address in tunnel for tunnel in TUNNELS)
