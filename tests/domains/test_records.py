"""The names of DNS records, as providers write them and as a zone needs them."""

import pytest

from mailroom_ops.domains.records import full_name


@pytest.mark.parametrize(
    ("name", "domain", "expected"),
    [
        ("send", "example.com", "send.example.com"),
        ("resend._domainkey", "example.com", "resend._domainkey.example.com"),
        ("send.auth", "auth.example.com", "send.auth.example.com"),
        ("resend._domainkey.mail.auth", "mail.auth.example.com", "resend._domainkey.mail.auth.example.com"),
        ("send.auth.example.com", "auth.example.com", "send.auth.example.com"),
        ("Send.Auth.Example.com.", "auth.example.com", "send.auth.example.com"),
        ("@", "auth.example.com", "auth.example.com"),
        ("links", "auth.example.com", "links.auth.example.com"),
    ],
)
def test_a_relative_name_becomes_an_absolute_one(name: str, domain: str, expected: str) -> None:
    assert full_name(name, domain) == expected
