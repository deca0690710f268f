"""Hold what DNS says of a sending domain against what it should say."""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from mailroom_ops.domains.dns import Dns
from mailroom_ops.domains.records import LOWEST_POLICY, Purpose, Record
from mailroom_ops.finding import Finding, Level, failed, ok, warning

__all__ = ["Policy", "Spf", "Standing", "alignment", "check_dmarc", "check_record", "policy_of", "spf_of", "standing"]

NOT_THERE = "is not there"
AGAIN = "Ask again later, or another resolver with --resolver."
MOST_LOOKUPS = 10  # RFC 7208, 4.6.4: one more, and receivers see an error instead of a policy
TAGS = re.compile(r"\s*([a-z]+)\s*=\s*([^;]*?)\s*(?:;|$)", re.IGNORECASE)


class Standing(StrEnum):
    """How a record stands, in a word."""

    LIVE = "live"
    MISSING = "missing"
    WRONG = "wrong"
    UNKNOWN = "not known"


def standing(found: Finding) -> Standing:
    """Sum up what was found of a record."""
    if found.level is Level.OK:
        return Standing.LIVE
    if found.says == NOT_THERE:
        return Standing.MISSING
    return Standing.UNKNOWN if found.todo == AGAIN else Standing.WRONG


def check_record(dns: Dns, record: Record) -> Finding:
    """Tell whether one record that a provider asked for is live."""
    subject = f"{record.purpose} {record.name} {record.type}"
    answer = dns.ask(record.name, record.type)
    if answer.problem:
        return failed(subject, answer.problem, AGAIN)
    if record.purpose is Purpose.SPF:
        return _spf(dns, record, subject)
    if record.purpose is Purpose.DMARC:
        return check_dmarc(dns, record.name.removeprefix("_dmarc."))
    if not answer.values:
        return failed(subject, *_missing(dns, record))
    match record.type:
        case "MX":
            return _mx(record, answer.values, subject)
        case "CNAME":
            return _is_it(record, answer.values[0] == record.value.rstrip(".").lower(), answer.values[0], subject)
    return _txt(record, answer.values, subject)


def _missing(dns: Dns, record: Record) -> tuple[str, str]:
    """Tell what may have happened to a record that is not there."""
    todo = f"Add: {record.name} {record.type} {record.shown}"
    # The form at a DNS host often adds the zone by itself, and the record ends up under the name twice.
    labels = record.name.split(".")
    for size in range(2, len(labels)):
        zone = ".".join(labels[-size:])
        if dns.ask(f"{record.name}.{zone}", record.type).values:
            return f"is at {record.name}.{zone}", f"Your DNS host adds {zone} by itself: leave it out of the name."
    other = {"CNAME": "TXT", "TXT": "CNAME"}.get(record.type)
    if other and (found := dns.ask(record.name, other).values):
        return f"is not there; a {other} is: {found[0][:60]}", f"Replace it by the {record.type}."
    return NOT_THERE, todo


def _is_it(record: Record, right: bool, found: str, subject: str) -> Finding:
    if right:
        return ok(subject, "is live")
    return failed(subject, f"says {found[:60]}", f"Change it to: {record.shown}")


def _mx(record: Record, found: tuple[str, ...], subject: str) -> Finding:
    hosts = [value.partition(" ")[2] for value in found]
    if record.value.rstrip(".").lower() not in hosts:
        return failed(subject, f"leads to {', '.join(hosts)[:60]}", f"Change it to: {record.shown}")
    if len(hosts) > 1:
        others = ", ".join(host for host in hosts if host != record.value)
        return failed(subject, f"leads to {others} too", "Remove the others: bounces would be lost there.")
    return ok(subject, "is live")


def _txt(record: Record, found: tuple[str, ...], subject: str) -> Finding:
    wanted, plain = _squeezed(record.value), [_squeezed(value) for value in found]
    keys = [value for value in plain if "p=" in value]
    if record.purpose is Purpose.DKIM and len(keys) > 1:
        return failed(subject, f"{len(keys)} keys stand there, and receivers take any", f"Leave one: {record.shown}")
    if wanted in plain:
        return ok(subject, "is live")
    if any(value and wanted.startswith(value) for value in plain):
        longest = "A DNS host that takes 255 characters wants the value in several quoted strings."
        return failed(subject, "is cut off", longest)
    return failed(subject, f"says {found[0][:60]}", f"Change it to: {record.shown}")


def _squeezed(text: str) -> str:
    return re.sub(r"[\s\"]", "", text)


# ---- SPF ----


@dataclass(slots=True)
class Spf:
    """The policy of one domain, with all it includes."""

    text: str = ""
    faults: list[str] = field(default_factory=list)
    lookups: int = 0
    includes: list[str] = field(default_factory=list)

    @property
    def passes_all(self) -> bool:
        return re.search(r"(?:^|\s)\+?all(?:\s|$)", self.text) is not None


def spf_of(dns: Dns, domain: str) -> Spf:
    """Read the SPF policy of a domain as a receiver does."""
    spf = Spf()
    spf.text = _read_spf(dns, domain, spf, ())
    if spf.lookups > MOST_LOOKUPS:
        spf.faults.append(f"needs {spf.lookups} lookups, and receivers stop at {MOST_LOOKUPS}")
    return spf


def _read_spf(dns: Dns, domain: str, spf: Spf, above: tuple[str, ...]) -> str:
    if domain in above:
        spf.faults.append(f"includes itself: {' → '.join((*above[above.index(domain) :], domain))}")
        return ""
    answer = dns.ask(domain, "TXT")
    found = [text for text in answer.values if re.match(r"v=spf1(\s|$)", text, re.IGNORECASE)]
    if answer.problem:
        spf.faults.append(f"{domain}: {answer.problem}")
    elif len(found) > 1:
        spf.faults.append(f"{domain} has {len(found)} SPF records, and receivers take none of them")
    elif not found and above:
        spf.faults.append(f"includes {domain}, which has no SPF record")
    if len(found) != 1:
        return ""
    for term in found[0].lower().split()[1:]:
        name, _, value = re.sub(r"^[+?~-]", "", term).replace("=", ":", 1).partition(":")
        if name in ("a", "mx", "ptr", "exists", "include", "redirect"):
            spf.lookups += 1
        if name in ("include", "redirect") and value and spf.lookups <= MOST_LOOKUPS:
            spf.includes.append(value.rstrip("."))
            _read_spf(dns, value.rstrip("."), spf, (*above, domain))
    return found[0]


def _spf(dns: Dns, record: Record, subject: str) -> Finding:
    spf = spf_of(dns, record.name)
    if spf.faults:
        return failed(subject, spf.faults[0], f"One SPF record, such as: {record.shown}")
    if not spf.text:
        return failed(subject, *_missing(dns, record))
    wanted = {term for term in record.value.lower().split() if term.startswith("include:")}
    if not wanted <= {f"include:{name}" for name in spf.includes}:
        return failed(subject, f"says {spf.text[:60]}", f"Change it to: {record.shown}")
    if spf.passes_all:
        return warning(subject, "lets everyone send (+all)", f"Change it to: {record.shown}")
    return ok(subject, "is live")


# ---- DMARC ----


@dataclass(frozen=True, slots=True)
class Policy:
    """What receivers are to do with mail that fails; `where` it stands, which may be above the domain."""

    where: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    problem: str = ""

    def asks_for(self, domain: str) -> str:
        own = self.where == f"_dmarc.{domain}"
        return self.tags.get("p" if own else "sp", self.tags.get("p", ""))


def policy_of(dns: Dns, domain: str) -> Policy:
    """Find the DMARC policy of a domain, its own or that of the nearest domain above it."""
    labels = domain.split(".")
    for size in range(len(labels), 1, -1):
        where = "_dmarc." + ".".join(labels[-size:])
        answer = dns.ask(where, "TXT")
        if answer.problem:
            return Policy(where, problem=answer.problem)
        found = [text for text in answer.values if re.match(r"v\s*=\s*DMARC1\b", text)]
        if len(found) > 1:
            return Policy(where, fault=f"{len(found)} policies stand there, and receivers take none of them")
        if found:
            tags = {name.lower(): value.lower() for name, value in TAGS.findall(found[0])}
            sound = tags.get("p") in ("none", "quarantine", "reject")
            return Policy(where, tags, "" if sound else "p must be none, quarantine or reject")
        if answer.values:
            return Policy(where, fault=f"says {answer.values[0][:40]}, which is no policy")
    return Policy()


def check_dmarc(dns: Dns, domain: str) -> Finding:
    subject = f"{Purpose.DMARC} _dmarc.{domain} TXT"
    policy = policy_of(dns, domain)
    least = f"The least: _dmarc.{domain} TXT {LOWEST_POLICY}"
    if policy.problem:
        return failed(subject, policy.problem, AGAIN)
    if policy.fault:
        return failed(subject, f"{policy.where}: {policy.fault}" if policy.where else policy.fault, least)
    if not policy.where:
        return failed(subject, NOT_THERE, least)
    asked = policy.asks_for(domain)
    inherited = "" if policy.where == f"_dmarc.{domain}" else f", from {policy.where}"
    if asked == "none":
        return ok(subject, f"is live: p=none{inherited}; quarantine or reject would protect your readers")
    return ok(subject, f"is live: p={asked}{inherited}")


def alignment(policy: Policy, domain: str, *, signs_as: str, return_path: str) -> Finding:
    """Tell whether the domain that readers see is the one that DKIM signs for, or the one that bounces go to."""
    subject = f"alignment {domain}"
    strict_dkim, strict_spf = policy.tags.get("adkim") == "s", policy.tags.get("aspf") == "s"
    by_dkim = _aligned(domain, signs_as, strict=strict_dkim)
    by_spf = _aligned(domain, return_path, strict=strict_spf)
    if by_dkim:
        return ok(subject, f"DKIM signs for {signs_as}" + (" and SPF is for it too" if by_spf else ""))
    if by_spf:
        return warning(subject, "only SPF is for this domain, and forwarding breaks SPF", "Let DKIM sign for it.")
    strict = " strictly" if strict_dkim or strict_spf else ""
    what = f"DKIM signs for {signs_as or 'nobody'}, which is not{strict} this domain: DMARC fails"
    return failed(subject, what, "Verify this very domain at the provider, or send from the one it signs for.")


def _aligned(domain: str, other: str, *, strict: bool) -> bool:
    if not other or strict:
        return domain == other
    return domain == other or domain.endswith(f".{other}") or other.endswith(f".{domain}")
