"""DMARC as receivers evaluate it (RFC 9989), against a real name server."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from mailroom_ops.domains import sending
from mailroom_ops.domains.dns import Dns
from mailroom_ops.domains.records import Purpose, Record
from mailroom_ops.domains.registrar import Domain, State
from mailroom_ops.domains.sending import ChainAccount
from mailroom_ops.finding import Finding, Level
from tests.nameserver import Zones


@dataclass(frozen=True, slots=True)
class Account:
    """A provider account that signs every mail for one domain and returns bounces to another."""

    signing_domain: str
    return_path: str

    def find(self, domain: str) -> Domain:
        records = (Record(Purpose.RETURN_PATH, self.return_path, "MX", "mx.example.com", "resend", 10),)
        return Domain(self.signing_domain, "resend", State.VERIFIED, "verified", records)

    def register(self, domain: str) -> Domain:
        return self.find(domain)

    def verify(self, domain: Domain) -> Domain:
        return domain

    def delete(self, domain: Domain) -> None:
        raise NotImplementedError


def check(
    address: str, domain: str, signing_domain: str = "", return_path: str = "bounce.elsewhere.example"
) -> Mapping[str, Finding]:
    """Return the findings of one domain by subject; mail is signed for the domain itself by default."""
    account = Account(signing_domain or domain, return_path)
    accounts = [ChainAccount("resend", account)]
    return {finding.subject: finding for finding in sending.check_domain(Dns([address]), domain, accounts)}


def alignment(address: str, domain: str, signing_domain: str, return_path: str = "bounce.elsewhere.example") -> Level:
    return check(address, domain, signing_domain, return_path)[f"alignment {domain}"].level


def policy(address: str, domain: str) -> Finding:
    return check(address, domain)[f"DMARC _dmarc.{domain} TXT"]


ELSEWHERE = {"elsewhere.example": ""}
ACME = {**ELSEWHERE, "acme.com": '_dmarc TXT "v=DMARC1; p=reject"\nauth TXT "x"\nmail TXT "x"\n'}


def test_a_sibling_subdomain_is_aligned(nameserver: Zones) -> None:
    assert alignment(nameserver(ACME), "auth.acme.com", "mail.acme.com") is Level.OK


def test_siblings_with_their_own_records_are_aligned(nameserver: Zones) -> None:
    own = '_dmarc.auth TXT "v=DMARC1; p=none"\n_dmarc.mail TXT "v=DMARC1; p=none"\n'
    address = nameserver({**ACME, "acme.com": ACME["acme.com"] + own})
    assert alignment(address, "auth.acme.com", "mail.acme.com") is Level.OK


def test_a_sibling_of_a_declared_organizational_domain_is_not_aligned(nameserver: Zones) -> None:
    own = '_dmarc.auth TXT "v=DMARC1; p=none; psd=n"\n'
    address = nameserver({**ACME, "acme.com": ACME["acme.com"] + own})
    assert alignment(address, "auth.acme.com", "mail.acme.com") is Level.FAILED
    assert alignment(address, "auth.acme.com", "dkim.auth.acme.com") is Level.OK


def test_a_sibling_without_any_record_is_not_aligned(nameserver: Zones) -> None:
    """Without a record at acme.com, nothing connects the two."""
    zone = '_dmarc.auth TXT "v=DMARC1; p=none"\n'
    address = nameserver({**ELSEWHERE, "acme.com": zone})
    assert alignment(address, "auth.acme.com", "mail.acme.com") is Level.FAILED


def test_a_sibling_is_not_aligned_under_a_strict_policy(nameserver: Zones) -> None:
    address = nameserver({**ELSEWHERE, "acme.com": '_dmarc TXT "v=DMARC1; p=reject; adkim=s"\n'})
    assert alignment(address, "auth.acme.com", "mail.acme.com") is Level.FAILED
    assert alignment(address, "auth.acme.com", "mail.acme.com", "mail.acme.com") is Level.WARNING  # SPF is relaxed


def test_a_domain_under_the_same_public_suffix_is_not_aligned(nameserver: Zones) -> None:
    zones = {"co.uk": "", "acme.co.uk": '_dmarc TXT "v=DMARC1; p=reject"\n'}
    zones |= {"other.co.uk": '_dmarc TXT "v=DMARC1; p=reject"\n'}
    address = nameserver({**ELSEWHERE, **zones})
    assert alignment(address, "auth.acme.co.uk", "other.co.uk") is Level.FAILED
    assert alignment(address, "auth.acme.co.uk", "mail.acme.co.uk") is Level.OK


def test_domains_below_a_declared_public_suffix_are_not_aligned(nameserver: Zones) -> None:
    """The example of RFC 9989, appendix B.3: giant.bank.example and mega.bank.example."""
    bank = '_dmarc TXT "v=DMARC1; p=reject; psd=y"\n_dmarc.giant TXT "v=DMARC1; p=none"\n'
    address = nameserver({**ELSEWHERE, "bank.example": bank})
    assert alignment(address, "giant.bank.example", "mail.mega.bank.example") is Level.FAILED
    assert (
        alignment(address, "giant.bank.example", "mail.mega.bank.example", "mail.giant.bank.example") is Level.WARNING
    )
    assert alignment(address, "giant.bank.example", "mail.giant.bank.example") is Level.OK


def test_a_parent_that_is_a_public_suffix_is_not_aligned(nameserver: Zones) -> None:
    bank = '_dmarc TXT "v=DMARC1; p=reject; psd=y"\n_dmarc.giant TXT "v=DMARC1; p=none"\n'
    address = nameserver({**ELSEWHERE, "bank.example": bank})
    assert alignment(address, "giant.bank.example", "bank.example") is Level.FAILED


@pytest.mark.parametrize(
    ("zone", "signing_domain", "level"),
    [
        ("v=DMARC1; p=reject", "auth.acme.com", Level.OK),
        ("v=DMARC1; p=reject; adkim=s; aspf=s", "auth.acme.com", Level.OK),
        ("v=DMARC1; p=reject", "dkim.auth.acme.com", Level.OK),
        ("v=DMARC1; p=reject; adkim=s", "dkim.auth.acme.com", Level.WARNING),
        ("v=DMARC1; p=reject; adkim=s; aspf=s", "dkim.auth.acme.com", Level.FAILED),
        ("v=DMARC1; p=reject; aspf=s", "auth.acme.com", Level.OK),
        ("v=DMARC1; p=reject", "other.com", Level.WARNING),
        ("v=DMARC1; p=reject; aspf=s", "other.com", Level.FAILED),
    ],
)
def test_one_of_dkim_and_spf_has_to_be_aligned(nameserver: Zones, zone: str, signing_domain: str, level: Level) -> None:
    address = nameserver({"acme.com": f'_dmarc.auth TXT "{zone}"\n'})
    assert alignment(address, "auth.acme.com", signing_domain, "send.auth.acme.com") is level


def test_without_a_policy_there_is_nothing_to_align_with(nameserver: Zones) -> None:
    findings = check(nameserver({**ELSEWHERE, "acme.com": 'auth TXT "x"\n'}), "auth.acme.com")
    assert "alignment auth.acme.com" not in findings


def test_only_eight_names_are_queried(nameserver: Zones) -> None:
    """The example of RFC 9989, appendix B.2: names between the domain and its last seven labels are skipped."""
    domain = "a.b.c.d.e.f.g.h.i.j.k.example.com"
    skipped = '_dmarc.b.c.d.e.f.g.h.i.j.k TXT "v=DMARC1; p=quarantine; psd=n"\n'
    address = nameserver({**ELSEWHERE, "example.com": f'_dmarc TXT "v=DMARC1; p=reject"\n{skipped}'})
    assert alignment(address, domain, "signing.example.com") is Level.OK
    assert "p=reject, from _dmarc.example.com" in policy(address, domain).state


POLICIES = {
    "its own": ('_dmarc.auth TXT "v=DMARC1; p=quarantine; sp=none"', Level.OK, "p=quarantine"),
    "the organizational domain's": ('_dmarc TXT "v=DMARC1; p=quarantine"', Level.OK, "p=quarantine, from _dmarc.acme"),
    "the one for subdomains": (
        '_dmarc TXT "v=DMARC1; p=reject; sp=quarantine; np=reject"',
        Level.OK,
        "p=quarantine, from _dmarc.acme.com",
    ),
    "without p, with reports": (
        '_dmarc.auth TXT "v=DMARC1; rua=mailto:a@acme.com"',
        Level.WARNING,
        "p=none",
    ),
    "without p and reports": ('_dmarc.auth TXT "v=DMARC1; adkim=s"', Level.FAILED, "no p"),
    "with a misspelled p": ('_dmarc.auth TXT "v=DMARC1; p=rejekt"', Level.FAILED, "p=rejekt"),
    "with a misspelled p, with reports": (
        '_dmarc.auth TXT "v=DMARC1; p=rejekt; rua=mailto:a@acme.com"',
        Level.WARNING,
        "p=none",
    ),
    "with a misspelled sp": ('_dmarc TXT "v=DMARC1; p=reject; sp=rejekt"', Level.FAILED, "sp=rejekt"),
    "with a misspelled np, with reports": (
        '_dmarc.auth TXT "v=DMARC1; p=reject; np=rejekt; rua=mailto:a@acme.com"',
        Level.WARNING,
        "p=none",
    ),
    "in test mode": ('_dmarc.auth TXT "v=DMARC1; p=reject; t=y"', Level.OK, "p=reject, applied as quarantine (t=y)"),
    "in test mode, lower": ('_dmarc.auth TXT "v=DMARC1; p=quarantine; t=y"', Level.OK, "applied as none (t=y)"),
    "with p last": ('_dmarc.auth TXT "v=DMARC1; rua=mailto:a@acme.com; p=reject"', Level.OK, "p=reject"),
    "with p twice": ('_dmarc.auth TXT "v=DMARC1; p=none; p=reject"', Level.FAILED, "p twice"),
    "with an unknown tag": ('_dmarc.auth TXT "v=DMARC1; p=reject; pct=50; x=1"', Level.OK, "p=reject"),
    "of another version": ('_dmarc.auth TXT "v=DMARC10; p=reject"', Level.FAILED, "not a DMARC record"),
    "behind a wildcard": ('* TXT "v=spf1 -all"\n_dmarc TXT "v=DMARC1; p=reject"', Level.OK, "from _dmarc.acme.com"),
}


@pytest.mark.parametrize("name", POLICIES)
def test_the_policy_is_the_one_that_receivers_apply(nameserver: Zones, name: str) -> None:
    zone, level, state = POLICIES[name]
    finding = policy(nameserver({**ELSEWHERE, "acme.com": f'auth TXT "x"\n{zone}\n'}), "auth.acme.com")
    assert state in finding.state
    assert finding.level is level


def test_a_policy_between_the_domain_and_its_organization_is_not_applied(nameserver: Zones) -> None:
    """Receivers apply the record of acme.com, not that of the domain in between."""
    zone = 'a.mail TXT "x"\n_dmarc.mail TXT "v=DMARC1; p=reject"\n_dmarc TXT "v=DMARC1; p=none"\n'
    address = nameserver({**ELSEWHERE, "acme.com": zone})
    assert "p=none, from _dmarc.acme.com" in policy(address, "a.mail.acme.com").state


def test_the_policy_of_a_public_suffix_applies_to_a_domain_without_one(nameserver: Zones) -> None:
    zone = 'giant TXT "x"\n_dmarc TXT "v=DMARC1; p=reject; sp=quarantine; np=reject; psd=y"\n'
    address = nameserver({**ELSEWHERE, "bank.example": zone})
    assert "p=quarantine, from _dmarc.bank.example" in policy(address, "giant.bank.example").state


def test_a_domain_that_does_not_exist_has_the_policy_for_such_names(nameserver: Zones) -> None:
    zone = 'auth TXT "x"\n_dmarc TXT "v=DMARC1; p=none; sp=quarantine; np=reject"\n'
    address = nameserver({**ELSEWHERE, "acme.com": zone})
    assert "p=reject" in policy(address, "new.acme.com").state
    assert "p=quarantine" in policy(address, "auth.acme.com").state
