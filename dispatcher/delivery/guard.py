"""The guard of targets: which addresses may be connected to.

It looks at the address that a socket is about to be connected to, after every look-up and whatever the spelling of
the host, so that a name which changes its address between a check and the call gains nothing.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network
IPAddress = IPv4Address | IPv6Address

# What `is_global` lets pass although it does not lead, or does not only lead, to the public internet.
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's host: metadata and health of the virtual machine
        "192.0.0.0/24",  # protocol assignments, and 192.0.0.192, Oracle's metadata
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "64:ff9b::/96",  # NAT64, RFC 6052: any IPv4 address, private ones too
        "64:ff9b:1::/48",  # local NAT64, RFC 8215
        "2001::/23",  # Teredo and other protocol assignments
        "2002::/16",  # 6to4, RFC 3056
        "3fff::/20",  # documentation, RFC 9637
        "5f00::/16",  # segment routing, RFC 9602
        "fec0::/10",  # site-local, RFC 3879
        "::/96",  # IPv4-compatible, RFC 4291
        "::ffff:0:0:0/96",  # IPv4-translated, RFC 2765
    )
)


NOT_PERMITTED = "calls to addresses that are not public are not permitted"


class ForbiddenTarget(OSError):
    """A target's address is not public and not in an allowed network.

    ``address`` is None where a name led to it: what names of an internal network resolve to is nobody's business. For
    the same reason the text is the same for every address; and errors of one text are raised as one when a name has
    several addresses.
    """

    def __init__(self, address: IPAddress | None = None) -> None:
        super().__init__(NOT_PERMITTED)
        self.address = address


def literal_address(host: str) -> IPAddress | None:
    """The address that a URL's host is, in any spelling that resolvers take (``127.1``, ``0x7f.1``); None for names.

    ``localhost`` and everything below it is an address too (RFC 6761).
    """
    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return _address(found[0][4][0])


def _address(written: object) -> IPAddress:
    return ip_address(str(written).partition("%")[0])


class TargetGuard:
    """Refuses addresses that are not public, unless they are in one of ``allowed`` networks."""

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def permits(self, address: IPAddress) -> bool:
        """Whether targets at this address may be called."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address.version == network.version and address in network for network in self._allowed):
            return True
        return (
            address.is_global
            and not address.is_multicast
            and not any(address.version == network.version and address in network for network in _NOT_PUBLIC)
        )

    def check(self, literal: IPAddress | None) -> None:
        """Refuse a URL's host before anything is looked up or asked of a proxy.

        Raises:
            ForbiddenTarget: it is an address, and calls to it are not permitted.
        """
        if literal is not None and not self.permits(literal):
            raise ForbiddenTarget(literal)

    def socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for an address as ``getaddrinfo`` describes it, for aiohttp's ``socket_factory``.

        Raises:
            ForbiddenTarget: calls to this address are not permitted.
        """
        family, kind, protocol, _, where = address_info
        if not self.permits(_address(where[0])):
            raise ForbiddenTarget
        return socket.socket(family, kind, protocol)
