import socket
from ipaddress import ip_address, ip_network

import pytest

from dispatcher.delivery.guard import ForbiddenTarget, TargetGuard

PRIVATE = (  # noqa: SIM905 - a table of addresses
    "127.0.0.1 127.255.255.254 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 "
    "169.254.170.2 0.0.0.0 0.1.2.3 100.64.0.1 100.100.100.200 192.0.0.192 192.0.2.1 198.18.0.1 "
    "198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 "
    "192.88.99.1 ::1 :: fe80::1 fec0::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 2001::1 2002:7f00:1:: "
    "64:ff9b::7f00:1 64:ff9b:1::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 "
    "::ffff:0:127.0.0.1 ::127.0.0.1 ::a00:1 100::1 "
).split()


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not TargetGuard().permits(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "2a00:1450::1"])
def test_public_addresses_are_permitted(address: str) -> None:
    assert TargetGuard().permits(ip_address(address))


def test_allowed_networks_are_permitted_and_nothing_beside_them() -> None:
    guard = TargetGuard([ip_network("127.0.0.0/8"), ip_network("fd00::/8")])
    assert guard.permits(ip_address("127.0.0.1"))
    assert guard.permits(ip_address("::ffff:127.0.0.1"))
    assert guard.permits(ip_address("fd00::1"))
    assert not guard.permits(ip_address("::1"))
    assert not guard.permits(ip_address("10.0.0.1"))


def test_no_socket_is_made_for_a_forbidden_address() -> None:
    info = socket.getaddrinfo("0x7f.1", 80, type=socket.SOCK_STREAM)[0]
    with pytest.raises(ForbiddenTarget, match="not permitted") as caught:
        TargetGuard().socket(info)
    assert caught.value.address == "127.0.0.1"
    TargetGuard([ip_network("127.0.0.0/8")]).socket(info).close()
