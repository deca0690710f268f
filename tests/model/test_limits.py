"""Limits as they are set, and what counts as one mailbox and as one client."""

import json
from typing import Any

import pytest

from mailroom.model.json_settings import InvalidSetting, merge
from mailroom.model.limits import Limits, client_network, limited_address


def limits(*settings: dict[str, Any]) -> Limits:
    names = [f"limits/{number}" for number in range(len(settings))]
    return Limits.of(merge(names, dict(zip(names, map(json.dumps, settings), strict=True))))


def test_limits_are_ten_codes_five_of_a_kind_and_thirty_from_a_client() -> None:
    assert limits() == Limits(10, 5, 30)


def test_a_tenants_limits_complete_the_defaults() -> None:
    assert limits({"per_recipient": 20, "per_kind": 0}, {"per_kind": 8}) == Limits(20, 8, 30)


@pytest.mark.parametrize("value", [-1, 101, 2.5, "10", True, None, [10]])
def test_a_malformed_limit_is_named_with_its_setting(value: Any) -> None:
    with pytest.raises(InvalidSetting, match="per_kind must be a number from 0") as raised:
        limits({}, {"per_kind": value})
    assert raised.value.name == "limits/1"


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada+news@Example.com", "ada@example.com"),
        ("a.d.a+1@googlemail.com", "ada@gmail.com"),
        ("a.d.a@example.com", "a.d.a@example.com"),
        ("+@example.com", "+@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
    ],
)
def test_addresses_of_one_mailbox_count_as_one(address: str, mailbox: str) -> None:
    assert limited_address(address) == mailbox


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", ""),
        ("unknown", ""),
        ("203.0.113.7, 198.51.100.1", ""),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(ip: str, network: str) -> None:
    assert client_network(ip) == network
