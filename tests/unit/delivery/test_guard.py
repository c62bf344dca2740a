import socket
from ipaddress import ip_address, ip_network

import pytest

from dispatcher.delivery.guard import ForbiddenTarget, TargetGuard, literal_address

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


# Every cloud's, by address and by the names that lead there in their networks.
METADATA = {
    "AWS, GCP, Azure, Oracle, DigitalOcean": "169.254.169.254",
    "AWS over IPv6": "fd00:ec2::254",
    "AWS, tasks of ECS": "169.254.170.2",
    "AWS, pods of EKS": "169.254.170.23",
    "AWS, pods of EKS over IPv6": "fd00:ec2::23",
    "GCP over IPv6": "fd20:ce::254",
    "Azure, the machine's host": "168.63.129.16",
    "Alibaba": "100.100.100.200",
    "Oracle, classic": "192.0.0.192",
}


@pytest.mark.parametrize("address", METADATA.values(), ids=METADATA)
def test_clouds_metadata_is_refused(address: str) -> None:
    guard = TargetGuard()
    assert not guard.permits(ip_address(address))
    if "." in address:
        assert not guard.permits(ip_address(f"::ffff:{address}"))
        assert not guard.permits(ip_address(f"64:ff9b::{address}"))
        assert not guard.permits(ip_address(f"::{address}"))


@pytest.mark.parametrize(
    "host",
    (  # noqa: SIM905 - a table of spellings
        "127.0.0.1 127.0.0.1. 127.0.0.1.. 127.1 127.0.1 0x7f.1 0x7f000001 0X7F.0.0.1 0177.0.0.1 017700000001 "
        "2130706433 0x7f.0.0.0x1 127.0x1 localhost LOCALHOST localhost. a.localhost a.b.LocalHost. 0 0.0.0.0 0x0 00000 "
        ":: ::1 ::ffff:127.0.0.1 ::ffff:7f00:1 0:0:0:0:0:ffff:7f00:1 ::127.0.0.1 64:ff9b::127.0.0.1 fe80::1%lo fe80::1 "
        "169.254.169.254 0xa9fea9fe 2852039166 ::ffff:a9fe:a9fe"
    ).split(),
)
def test_every_spelling_is_one_address(host: str) -> None:
    literal = literal_address(host)
    assert literal is not None
    with pytest.raises(ForbiddenTarget, match="not permitted") as caught:
        TargetGuard().check(literal)
    assert caught.value.address == literal


@pytest.mark.parametrize("host", ["example.com", "localhost.example", "notlocalhost", "127.0.0.1.example", "1.2.3.4.5"])
def test_names_are_no_addresses(host: str) -> None:
    assert literal_address(host) is None
    TargetGuard().check(None)


def test_no_socket_is_made_for_a_forbidden_address() -> None:
    info = socket.getaddrinfo("0x7f.1", 80, type=socket.SOCK_STREAM)[0]
    with pytest.raises(ForbiddenTarget, match="not permitted") as caught:
        TargetGuard().socket(info)
    # What a name resolves to within a network is not told.
    assert caught.value.address is None
    TargetGuard([ip_network("127.0.0.0/8")]).socket(info).close()


def test_no_socket_is_made_for_an_address_with_a_zone() -> None:
    with pytest.raises(ForbiddenTarget):
        TargetGuard().socket((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%lo", 80, 0, 1)))
