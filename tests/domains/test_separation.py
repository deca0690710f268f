"""Auth mail that shares its domain with other mail is found, by a real name server."""

import json

import pytest

from mailroom_ops.domains.dns import Dns
from mailroom_ops.domains.separation import check_separation
from mailroom_ops.finding import Finding, Level
from tests.nameserver import Zones

DOMAIN = "auth.acme.example"
SENDERS = {"senders/default/auth": f'{{"from": "Acme <no-reply@{DOMAIN}>"}}'}


def warnings(nameserver: Zones, zone: str, values: dict[str, str] = SENDERS) -> list[Finding]:
    zones = {"acme.example": zone, "acme.co.uk": zone, "servers.mcsv.net": '@ TXT "v=spf1 ip4:192.0.2.7 -all"\n'}
    findings = check_separation(Dns([nameserver(zones)]), values)
    return [finding for finding in findings if finding.level is Level.WARNING]


def problems(nameserver: Zones, zone: str, values: dict[str, str] = SENDERS) -> list[str]:
    return [finding.state for finding in warnings(nameserver, zone, values)]


def test_a_domain_with_auth_mail_alone_is_fine(nameserver: Zones) -> None:
    assert problems(nameserver, "@ MX 10 mail.acme.example.\n") == []


def test_marketing_from_the_same_domain_is_a_warning(nameserver: Zones) -> None:
    zone = f'{DOMAIN}. TXT "v=spf1 include:servers.mcsv.net ~all"\n'
    assert problems(nameserver, zone) == ["its SPF includes Mailchimp: marketing is sent from here too"]


def test_a_domain_with_mailboxes_is_a_warning(nameserver: Zones) -> None:
    values = {"senders/default/auth": '{"from": "no-reply@acme.example"}'}
    assert problems(nameserver, "@ MX 10 mail.acme.example.\n", values) == [
        "is also the domain of your people's mailboxes"
    ]


def test_a_domain_named_for_marketing_is_a_warning(nameserver: Zones) -> None:
    values = {"senders/acme/auth": '{"from": "login@news.acme.example"}'}
    assert problems(nameserver, "", values) == ["has the name of a domain for marketing"]


def test_notifications_from_the_same_domain_are_a_warning(nameserver: Zones) -> None:
    values = {**SENDERS, "senders/acme/notification": f'{{"from": "news@{DOMAIN}"}}'}
    assert problems(nameserver, "", values) == ["notifications of acme are sent from here too"]


POLICY = '_dmarc TXT "v=DMARC1; p=none"\n'


@pytest.mark.parametrize(
    ("domain", "zone", "suggestion"),
    [
        ("news.acme.co.uk", POLICY, "auth.acme.co.uk"),
        ("offers.mail.acme.co.uk", POLICY, "auth.acme.co.uk"),
        ("news.acme.co.uk", "", "auth.news.acme.co.uk"),  # without a policy, the organizational domain is unknown
    ],
)
def test_the_suggestion_is_below_the_organizational_domain(
    nameserver: Zones, domain: str, zone: str, suggestion: str
) -> None:
    values = {"senders/default/auth": json.dumps({"from": f"login@{domain}"})}
    (finding,) = warnings(nameserver, zone, values)
    assert finding.todo.endswith(f"such as {suggestion}.")


def test_the_suggestion_is_another_domain(nameserver: Zones) -> None:
    zone = f'{DOMAIN}. TXT "v=spf1 include:servers.mcsv.net ~all"\n{POLICY}'
    (finding,) = warnings(nameserver, zone)
    assert finding.todo.endswith("such as login.acme.example.")
