"""The records of a sending domain, compared with those of a real name server."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mailroom_ops.domains.dns import Dns
from mailroom_ops.domains.dns_check import check_record
from mailroom_ops.domains.records import Purpose, Record, dmarc_record, zone
from mailroom_ops.errors import InvalidInput
from mailroom_ops.finding import Finding, Level
from tests.nameserver import Zones

DOMAIN = "auth.acme.example"
KEY = "p=" + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12  # longer than one string of a TXT record
DKIM = Record(Purpose.DKIM, f"resend._domainkey.{DOMAIN}", "TXT", KEY, "resend")
TOKEN = Record(Purpose.DKIM, f"abc._domainkey.{DOMAIN}", "CNAME", "abc.dkim.amazonses.com", "ses")
BOUNCES = Record(Purpose.RETURN_PATH, f"send.{DOMAIN}", "MX", "feedback-smtp.eu-west-1.amazonses.com", "resend", 10)
SPF = Record(Purpose.SPF, f"send.{DOMAIN}", "TXT", "v=spf1 include:amazonses.com ~all", "resend")
DMARC = dmarc_record(DOMAIN)
AMAZON = {"amazonses.com": '@ IN TXT "v=spf1 ip4:192.0.2.0/24 -all"\n'}
LIVE = "\n".join(zone([record]) for record in (DKIM, TOKEN, BOUNCES, SPF, DMARC)) + "\n"

EACH_RECORD = pytest.mark.parametrize(
    "record", [DKIM, TOKEN, BOUNCES, SPF, DMARC], ids=lambda record: f"{record.purpose}-{record.type}"
)


def check(nameserver: Zones, record: Record, text: str) -> Finding:
    return check_record(Dns([nameserver({"acme.example": text, **AMAZON})]), record)


@EACH_RECORD
def test_the_printed_zone_lines_are_live_in_the_zone(nameserver: Zones, record: Record) -> None:
    finding = check(nameserver, record, LIVE)
    assert (finding.level, finding.todo) == (Level.OK, ""), finding


@EACH_RECORD
def test_a_missing_record_is_named_with_its_value(nameserver: Zones, record: Record) -> None:
    finding = check(nameserver, record, "")
    assert finding.level is Level.FAILED
    assert finding.state == "is missing"
    assert record.name in finding.todo
    assert record.value in finding.todo


CASES = {
    "another key": (DKIM, f'{DKIM.name}. TXT "p=AAAA"', "contains p=AAAA", "Change it to"),
    "two keys": (DKIM, f'{zone([DKIM])}\n{DKIM.name}. TXT "p=AAAA"', "has 2 keys", "Keep one"),
    "a key cut off": (DKIM, f'{DKIM.name}. TXT "{KEY[:255]}"', "is cut off", "several quoted strings"),
    "a key in odd pieces": (DKIM, f'{DKIM.name}. TXT "{KEY[:100]} " "{KEY[100:300]}" " {KEY[300:]}"', "is live", ""),
    "a CNAME in place of a key": (DKIM, f"{DKIM.name}. CNAME x.acme.example.", "a CNAME: x.acme", "Replace it"),
    "another target": (
        TOKEN,
        f"{TOKEN.name}. CNAME xyz.dkim.amazonses.com.",
        "contains xyz.dkim.amazonses.com",
        "Change",
    ),
    "a text in place of a CNAME": (TOKEN, f'{TOKEN.name}. TXT "abc"', "a TXT: abc", "Replace it by the CNAME"),
    "a target in capitals": (TOKEN, f"{TOKEN.name}. CNAME ABC.dkim.AmazonSES.com.", "is live", ""),
    "the zone twice": (
        TOKEN,
        f"{TOKEN.name}.acme.example. CNAME {TOKEN.value}.",
        f"is at {TOKEN.name}.acme",
        "leave it",
    ),
    "another exchange": (BOUNCES, f"{BOUNCES.name}. MX 10 mail.acme.example.", "points to mail.acme.example", "Change"),
    "a second exchange": (BOUNCES, f"{zone([BOUNCES])}\n{BOUNCES.name}. MX 5 mail.acme.example.", "also", "Remove"),
    "another policy": (SPF, f'{SPF.name}. TXT "v=spf1 mx -all"', "contains v=spf1 mx", "Change it to"),
    "two policies": (SPF, f'{zone([SPF])}\n{SPF.name}. TXT "v=spf1 -all"', "2 SPF records", "One SPF record"),
    "a policy for everyone": (SPF, f'{SPF.name}. TXT "v=spf1 include:amazonses.com +all"', "+all", "Change"),
    "a policy among others": (SPF, f'{SPF.name}. TXT "v=spf1 mx include:amazonses.com -all"', "is live", ""),
    "other texts beside it": (SPF, f'{zone([SPF])}\n{SPF.name}. TXT "verification=1"', "is live", ""),
    "two DMARC records": (
        DMARC,
        f'{zone([DMARC])}\n{DMARC.name}. TXT "v=DMARC1; p=reject"',
        "2 DMARC records",
        "At least",
    ),
    "a DMARC record without p": (DMARC, f'{DMARC.name}. TXT "v=DMARC1; fo=1"', "no p", "At least"),
    "another text at the name": (DMARC, f'{DMARC.name}. TXT "p=reject"', "is not a DMARC record", "At least"),
    "a strict DMARC policy": (DMARC, f'{DMARC.name}. TXT "v=DMARC1;p=reject;adkim=s"', "is live: p=reject", ""),
    "a DMARC policy of a parent": (
        DMARC,
        f'_dmarc.acme.example. TXT "v=DMARC1; p=reject; sp=none"\n{DOMAIN}. TXT "x"',
        "p=none, from _dmarc",
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_record_is_named_with_what_to_do(nameserver: Zones, name: str) -> None:
    record, text, state, todo = CASES[name]
    finding = check(nameserver, record, f"{text}\n")
    assert state in finding.state
    assert todo in finding.todo
    assert (finding.level is Level.OK) == (todo == "")


def test_a_cname_loop_is_detected(nameserver: Zones) -> None:
    loop = f"{DKIM.name}. CNAME a.acme.example.\na CNAME b.acme.example.\nb CNAME a.acme.example.\n"
    finding = check(nameserver, DKIM, loop)
    assert finding.level is Level.FAILED
    assert "loop" in finding.state or "a CNAME" in finding.state


def test_an_spf_record_that_includes_itself_is_detected(nameserver: Zones) -> None:
    text = f'{SPF.name}. TXT "v=spf1 include:loop.acme.example ~all"\nloop TXT "v=spf1 include:{SPF.name} ~all"\n'
    finding = check(nameserver, SPF, text)
    assert finding.level is Level.FAILED
    assert "includes itself" in finding.state


def test_an_spf_record_with_too_many_lookups_is_detected(nameserver: Zones) -> None:
    includes = " ".join(f"include:s{number}.acme.example" for number in range(11))
    text = zone([replace(SPF, value=f"v=spf1 include:amazonses.com {includes} ~all")]) + "\n"
    text += "".join(f's{number} TXT "v=spf1 ip4:192.0.2.1 ~all"\n' for number in range(11))
    finding = check(nameserver, SPF, text)
    assert finding.level is Level.FAILED
    assert "receivers stop at 10" in finding.state


def test_an_spf_record_that_includes_a_missing_one_is_detected(nameserver: Zones) -> None:
    text = f'{SPF.name}. TXT "v=spf1 include:amazonses.com include:gone.acme.example ~all"\n'
    assert "gone.acme.example, which has no SPF record" in check(nameserver, SPF, text).state


def test_a_server_that_refuses_does_not_count_as_a_missing_record(nameserver: Zones) -> None:
    finding = check_record(Dns([nameserver({"other.test": ""})]), TOKEN)
    assert finding.level is Level.FAILED
    assert "cannot resolve" in finding.state


@pytest.fixture
def silent_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A port that receives queries and never answers."""
    monkeypatch.setattr("mailroom_ops.domains.dns.QUERY_TIMEOUT_SECONDS", 0.2)
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_timeout_does_not_count_as_a_missing_record(silent_server: str) -> None:
    dns = Dns([silent_server])
    assert {check_record(dns, record).state for record in (TOKEN, SPF, DMARC)} == {"DNS does not answer"}


@pytest.mark.parametrize("text", ["dns.example.com", "127.0.0.1:99999", "", "1.2.3", "[::1"])
def test_a_malformed_resolver_address_is_an_error(text: str) -> None:
    with pytest.raises(InvalidInput, match="resolver"):
        Dns([text])
