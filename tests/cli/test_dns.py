"""What DNS says, from a real name server: good, missing, wrong, twice, looping, cut off, and silent."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mailroom_ops.domains import dns_check
from mailroom_ops.domains.dns import Dns
from mailroom_ops.domains.records import Purpose, Record, dmarc, full_name, zone
from mailroom_ops.domains.separation import check_apart
from mailroom_ops.errors import InvalidInput
from mailroom_ops.finding import Finding, Level
from tests.cli.nameserver import Zones

DOMAIN = "auth.acme.example"
KEY = "p=" + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12  # longer than one string of a TXT record
DKIM = Record(Purpose.DKIM, f"resend._domainkey.{DOMAIN}", "TXT", KEY, "resend")
TOKEN = Record(Purpose.DKIM, f"abc._domainkey.{DOMAIN}", "CNAME", "abc.dkim.amazonses.com", "ses")
BOUNCES = Record(Purpose.RETURN_PATH, f"send.{DOMAIN}", "MX", "feedback-smtp.eu-west-1.amazonses.com", "resend", 10)
SPF = Record(Purpose.SPF, f"send.{DOMAIN}", "TXT", "v=spf1 include:amazonses.com ~all", "resend")
DMARC = dmarc(DOMAIN)
AMAZON = {"amazonses.com": '@ IN TXT "v=spf1 ip4:192.0.2.0/24 -all"\n'}
LIVE = "\n".join(zone([record]) for record in (DKIM, TOKEN, BOUNCES, SPF, DMARC)) + "\n"


def look(nameserver: Zones, record: Record, text: str, **others: str) -> Finding:
    zones = {"acme.example": text, **AMAZON, **{name.replace("__", "."): body for name, body in others.items()}}
    return dns_check.check_record(Dns([nameserver(zones)]), record)


@pytest.mark.parametrize(
    "record", [DKIM, TOKEN, BOUNCES, SPF, DMARC], ids=lambda record: f"{record.purpose}-{record.type}"
)
def test_what_the_zone_lines_say_is_live_once_they_are_in_the_zone(nameserver: Zones, record: Record) -> None:
    found = look(nameserver, record, LIVE)
    assert (found.level, found.todo) == (Level.OK, ""), found


@pytest.mark.parametrize(
    "record", [DKIM, TOKEN, BOUNCES, SPF, DMARC], ids=lambda record: f"{record.purpose}-{record.type}"
)
def test_what_is_missing_is_named_with_what_to_add(nameserver: Zones, record: Record) -> None:
    found = look(nameserver, record, "")
    assert found.level is Level.FAILED
    assert found.says == "is not there"
    assert record.name in found.todo
    assert record.value in found.todo


WRONG = {
    "another key": (DKIM, f'{DKIM.name}. TXT "p=AAAA"', "says p=AAAA", "Change it to"),
    "two keys": (DKIM, f'{zone([DKIM])}\n{DKIM.name}. TXT "p=AAAA"', "2 keys stand there", "Leave one"),
    "a key cut off": (DKIM, f'{DKIM.name}. TXT "{KEY[:255]}"', "is cut off", "several quoted strings"),
    "a key in odd pieces": (DKIM, f'{DKIM.name}. TXT "{KEY[:100]} " "{KEY[100:300]}" " {KEY[300:]}"', "is live", ""),
    "a CNAME where a key belongs": (DKIM, f"{DKIM.name}. CNAME x.acme.example.", "a CNAME is: x.acme", "Replace it"),
    "another target": (TOKEN, f"{TOKEN.name}. CNAME xyz.dkim.amazonses.com.", "says xyz.dkim.amazonses.com", "Change"),
    "a text where a CNAME belongs": (TOKEN, f'{TOKEN.name}. TXT "abc"', "a TXT is: abc", "Replace it by the CNAME"),
    "a target in capitals": (TOKEN, f"{TOKEN.name}. CNAME ABC.dkim.AmazonSES.com.", "is live", ""),
    "the zone twice": (
        TOKEN,
        f"{TOKEN.name}.acme.example. CNAME {TOKEN.value}.",
        f"is at {TOKEN.name}.acme",
        "leave it",
    ),
    "another exchange": (BOUNCES, f"{BOUNCES.name}. MX 10 mail.acme.example.", "leads to mail.acme.example", "Change"),
    "a second exchange": (BOUNCES, f"{zone([BOUNCES])}\n{BOUNCES.name}. MX 5 mail.acme.example.", "too", "Remove"),
    "another policy": (SPF, f'{SPF.name}. TXT "v=spf1 mx -all"', "says v=spf1 mx", "Change it to"),
    "two policies": (SPF, f'{zone([SPF])}\n{SPF.name}. TXT "v=spf1 -all"', "2 SPF records", "One SPF record"),
    "a policy for everyone": (SPF, f'{SPF.name}. TXT "v=spf1 include:amazonses.com +all"', "+all", "Change"),
    "a policy among others": (SPF, f'{SPF.name}. TXT "v=spf1 mx include:amazonses.com -all"', "is live", ""),
    "other texts beside it": (SPF, f'{zone([SPF])}\n{SPF.name}. TXT "verification=1"', "is live", ""),
    "two DMARC policies": (DMARC, f'{zone([DMARC])}\n{DMARC.name}. TXT "v=DMARC1; p=reject"', "2 policies", "least"),
    "a DMARC policy without p": (
        DMARC,
        f'{DMARC.name}. TXT "v=DMARC1; rua=mailto:a@acme.example"',
        "p must be",
        "least",
    ),
    "no DMARC policy but a text": (DMARC, f'{DMARC.name}. TXT "p=reject"', "is no policy", "least"),
    "a strict policy": (DMARC, f'{DMARC.name}. TXT "v=DMARC1;p=reject;adkim=s"', "is live: p=reject", ""),
    "a policy from above": (DMARC, '_dmarc.acme.example. TXT "v=DMARC1; p=reject; sp=none"', "p=none, from _dmarc", ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_what_to_do(nameserver: Zones, name: str) -> None:
    record, text, says, todo = WRONG[name]
    found = look(nameserver, record, f"{text}\n")
    assert says in found.says
    assert todo in found.todo
    assert (found.level is Level.OK) == (todo == "")


def test_a_cname_that_leads_in_a_circle_is_found_out(nameserver: Zones) -> None:
    circle = f"{DKIM.name}. CNAME a.acme.example.\na CNAME b.acme.example.\nb CNAME a.acme.example.\n"
    found = look(nameserver, DKIM, circle)
    assert found.level is Level.FAILED
    assert "circle" in found.says or "a CNAME is" in found.says


def test_an_spf_policy_that_includes_itself_is_found_out(nameserver: Zones) -> None:
    text = f'{SPF.name}. TXT "v=spf1 include:loop.acme.example ~all"\nloop TXT "v=spf1 include:{SPF.name} ~all"\n'
    found = look(nameserver, SPF, text)
    assert found.level is Level.FAILED
    assert "includes itself" in found.says


def test_an_spf_policy_that_needs_too_many_lookups_is_found_out(nameserver: Zones) -> None:
    includes = " ".join(f"include:s{number}.acme.example" for number in range(11))
    text = zone([replace(SPF, value=f"v=spf1 include:amazonses.com {includes} ~all")]) + "\n"
    text += "".join(f's{number} TXT "v=spf1 ip4:192.0.2.1 ~all"\n' for number in range(11))
    found = look(nameserver, SPF, text)
    assert found.level is Level.FAILED
    assert "receivers stop at 10" in found.says


def test_an_spf_policy_that_includes_nothing_is_found_out(nameserver: Zones) -> None:
    text = f'{SPF.name}. TXT "v=spf1 include:amazonses.com include:gone.acme.example ~all"\n'
    assert "gone.acme.example, which has no SPF record" in look(nameserver, SPF, text).says


def test_a_server_that_refuses_is_not_taken_for_a_record_that_is_missing(nameserver: Zones) -> None:
    found = dns_check.check_record(Dns([nameserver({"other.example": ""})]), TOKEN)
    assert found.level is Level.FAILED
    assert "cannot resolve" in found.says


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A port that takes questions and never answers."""
    monkeypatch.setattr("mailroom_ops.domains.dns.PATIENCE", 0.2)
    with socket.socket(type=socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{deaf.getsockname()[1]}"


def test_silence_is_not_taken_for_a_record_that_is_missing(silence: str) -> None:
    dns = Dns([silence])
    assert {dns_check.check_record(dns, record).says for record in (TOKEN, SPF, DMARC)} == {"DNS does not answer"}


@pytest.mark.parametrize("text", ["dns.example.com", "127.0.0.1:99999", "", "1.2.3", "[::1"])
def test_what_is_no_resolver_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="resolver"):
        Dns([text])


@pytest.mark.parametrize(
    ("policy", "signs_as", "level"),
    [
        ("v=DMARC1; p=reject", DOMAIN, Level.OK),
        ("v=DMARC1; p=reject", "acme.example", Level.OK),
        ("v=DMARC1; p=reject; adkim=s", "acme.example", Level.WARNING),
        ("v=DMARC1; p=reject; adkim=s; aspf=s", "acme.example", Level.FAILED),
        ("v=DMARC1; p=reject; aspf=s", DOMAIN, Level.OK),
        ("v=DMARC1; p=reject", "", Level.WARNING),
        ("v=DMARC1; p=reject", "other.example", Level.WARNING),
    ],
)
def test_the_domain_readers_see_has_to_be_the_one_that_is_proven(
    nameserver: Zones, policy: str, signs_as: str, level: Level
) -> None:
    dns = Dns([nameserver({"acme.example": f'_dmarc.{DOMAIN}. TXT "{policy}"\n'})])
    found = dns_check.policy_of(dns, DOMAIN)
    bounces = f"send.{DOMAIN}"
    assert dns_check.alignment(found, DOMAIN, signs_as=signs_as, return_path=bounces).level is level


@pytest.mark.parametrize(
    ("name", "domain", "whole"),
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
def test_a_name_as_a_form_wants_it_becomes_a_whole_one(name: str, domain: str, whole: str) -> None:
    assert full_name(name, domain) == whole


SENDERS = {"senders/default/auth": f'{{"from": "Acme <no-reply@{DOMAIN}>"}}'}


def mixed(nameserver: Zones, text: str, values: dict[str, str] = SENDERS) -> list[str]:
    zones = {"acme.example": text, "servers.mcsv.net": '@ TXT "v=spf1 ip4:192.0.2.7 -all"\n'}
    return [found.says for found in check_apart(Dns([nameserver(zones)]), values) if found.level is Level.WARNING]


def test_a_domain_of_its_own_is_fine(nameserver: Zones) -> None:
    assert mixed(nameserver, "@ MX 10 mail.acme.example.\n") == []


def test_marketing_from_the_same_domain_is_pointed_out(nameserver: Zones) -> None:
    says = mixed(nameserver, f'{DOMAIN}. TXT "v=spf1 include:servers.mcsv.net ~all"\n')
    assert says == ["its SPF lets Mailchimp send: marketing leaves from here too"]


def test_the_domain_of_peoples_mailboxes_is_pointed_out(nameserver: Zones) -> None:
    values = {"senders/default/auth": '{"from": "no-reply@acme.example"}'}
    assert mixed(nameserver, "@ MX 10 mail.acme.example.\n", values) == [
        "is the domain your people have their mailboxes at"
    ]


def test_a_domain_named_for_marketing_is_pointed_out(nameserver: Zones) -> None:
    values = {"senders/acme/auth": '{"from": "login@news.acme.example"}'}
    assert mixed(nameserver, "", values) == ["looks like a domain for marketing"]


def test_notifications_from_the_same_domain_are_pointed_out(nameserver: Zones) -> None:
    values = {**SENDERS, "senders/acme/notification": f'{{"from": "news@{DOMAIN}"}}'}
    assert mixed(nameserver, "", values) == ["notifications of acme leave from here too"]
