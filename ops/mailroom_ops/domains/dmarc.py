"""DMARC as receivers evaluate it: policy discovery, organizational domain and alignment.

RFC 9989, section 4.10: the organizational domain comes from a walk up the DNS tree, which needs no list of public
suffixes. https://www.rfc-editor.org/rfc/rfc9989
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailroom_ops.domains.dns import Dns, DnsError
from mailroom_ops.domains.records import MINIMUM_DMARC, Purpose
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["DmarcPolicy", "check_alignment", "check_dmarc", "discover_policy", "organizational_domain"]

MAX_QUERIES = 8
VERSION = re.compile(r"[vV]\s*=\s*DMARC1\s*(?:;|$)")
URI = re.compile(r"[a-z][a-z0-9+.-]*:\S", re.IGNORECASE)
REQUESTS = ("none", "quarantine", "reject")
TESTED_AS = {"none": "none", "quarantine": "none", "reject": "quarantine"}  # t=y: one level lower


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """The one DMARC record at `_dmarc.{domain}`."""

    domain: str
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"_dmarc.{self.domain}"

    @property
    def is_public_suffix(self) -> bool:
        return self.tags.get("psd") == "y"

    @property
    def ends_walk(self) -> bool:
        return self.tags.get("psd") in ("y", "n")


@dataclass(frozen=True, slots=True)
class Lookup:
    """One query of a tree walk: a record, or the reason why receivers discard the records of the name."""

    domain: str
    record: DmarcRecord | None = None
    fault: str = ""
    other_text: str = ""  # a TXT record that is not a DMARC record, such as that of a wildcard


@dataclass(frozen=True, slots=True)
class DmarcPolicy:
    """The policy that receivers apply to a domain; with a `fault`, they apply none."""

    record: DmarcRecord | None = None
    request: str = ""  # none, quarantine or reject
    fault: str = ""
    problem: str = ""  # the reason for which receivers apply `none` instead

    @property
    def is_applied(self) -> bool:
        return self.record is not None and not self.fault


def tree_walk(dns: Dns, domain: str) -> Iterator[Lookup]:
    """Query a domain and its parents, at most eight names, up to a record that ends the walk (section 4.10).

    Raises DnsError.
    """
    labels = domain.split(".")
    first_parent = max(1, len(labels) - (MAX_QUERIES - 1))
    for name in (domain, *(".".join(labels[start:]) for start in range(first_parent, len(labels)))):
        lookup = _look_up(dns, name)
        yield lookup
        if lookup.record and lookup.record.ends_walk:
            return


def organizational_domain(dns: Dns, domain: str) -> str:
    """Return the domain at which the administrative authority over this one begins (section 4.10.2).

    Raises DnsError.
    """
    return _organizational_domain(domain, [lookup.record for lookup in tree_walk(dns, domain) if lookup.record])


def discover_policy(dns: Dns, domain: str) -> DmarcPolicy:
    """Return the policy of a domain: its own, else its organizational domain's, else its public suffix's (4.10.1).

    Raises DnsError.
    """
    lookups = tree_walk(dns, domain)
    own = next(lookups)
    if own.record or own.fault:
        return _policy(dns, domain, own.record) if own.record else DmarcPolicy(fault=own.fault)
    parents = list(lookups)
    records = [lookup.record for lookup in parents if lookup.record]
    if records:
        organization = _organizational_domain(domain, records)
        # Without a record of its own, an organizational domain was found by the record of its public suffix.
        return _policy(dns, domain, next((record for record in records if record.domain == organization), records[-1]))
    fault = next((lookup.fault for lookup in parents if lookup.fault), "")
    if own.other_text and not fault:
        fault = f"contains {own.other_text[:40]}, which is not a DMARC record"
    return DmarcPolicy(fault=fault)


def check_dmarc(dns: Dns, domain: str) -> Finding:
    """Check that receivers find a DMARC policy for a domain."""
    subject = f"{Purpose.DMARC} _dmarc.{domain} TXT"
    minimum = f"At least: _dmarc.{domain} TXT {MINIMUM_DMARC}"
    try:
        policy = discover_policy(dns, domain)
    except DnsError as error:
        return failed(subject, error.sentence, error.todo)
    if policy.fault or policy.record is None:
        return failed(subject, policy.fault or "is missing", minimum)
    source = "" if policy.record.domain == domain else f", from {policy.record.name}"
    if policy.problem:
        state = f"contains {policy.problem}: receivers apply p=none{source}"
        return warning(subject, state, f"Write a valid policy into {policy.record.name}, at least p=none.")
    request = f"p={policy.request}{source}"
    if policy.record.tags.get("t") == "y" and policy.request != "none":
        return ok(subject, f"is live: {request}, applied as {TESTED_AS[policy.request]} (t=y)")
    if policy.request == "none":
        return ok(subject, f"is live: {request}; quarantine or reject would protect your recipients")
    return ok(subject, f"is live: {request}")


def check_alignment(dns: Dns, policy: DmarcPolicy, domain: str, *, signing_domain: str, return_path: str) -> Finding:
    """Check that the domain of From is aligned with the domain that DKIM signs for, or with that of the return path."""
    subject = f"alignment {domain}"
    tags = policy.record.tags if policy.record else {}
    try:
        by_dkim = _is_aligned(dns, domain, signing_domain, is_strict=tags.get("adkim") == "s")
        by_spf = _is_aligned(dns, domain, return_path, is_strict=tags.get("aspf") == "s")
    except DnsError as error:
        return failed(subject, error.sentence, error.todo)
    if by_dkim:
        return ok(subject, f"DKIM signs for {signing_domain}" + (", and SPF is aligned too" if by_spf else ""))
    if by_spf:
        return warning(
            subject, "only SPF is aligned, and forwarding breaks SPF", "Let DKIM sign for this domain at the provider."
        )
    strict = ", because the policy is strict" if "s" in (tags.get("adkim"), tags.get("aspf")) else ""
    return failed(
        subject,
        f"DKIM signs for {signing_domain or 'no domain'}, which is not aligned with this domain{strict}: DMARC fails",
        "Verify this very domain at the provider, or send from the domain that it signs for.",
    )


def _look_up(dns: Dns, domain: str) -> Lookup:
    name = f"_dmarc.{domain}"
    answer = dns.query(name, "TXT")
    if answer.error:
        raise DnsError(f"{name}: {answer.error}")
    texts = [text for text in answer.values if VERSION.match(text)]
    if len(texts) > 1:
        return Lookup(domain, fault=f"{name} has {len(texts)} DMARC records, and receivers ignore all of them")
    if not texts:
        return Lookup(domain, other_text=answer.values[0] if answer.values else "")
    pairs = [part.partition("=") for part in texts[0].split(";") if "=" in part]
    tags = {tag.strip().lower(): value.strip().lower() for tag, _, value in pairs}
    if len(tags) < len(pairs):
        names = [tag.strip().lower() for tag, _, _ in pairs]
        repeated = next(tag for tag in names if names.count(tag) > 1)
        return Lookup(domain, fault=f"{name} contains the tag {repeated} twice, and receivers ignore the record")
    return Lookup(domain, DmarcRecord(domain, tags))


def _organizational_domain(domain: str, records: Sequence[DmarcRecord]) -> str:
    """Select from the records of a tree walk, of which only the last can have ended it."""
    if not records:
        return domain
    last = records[-1]
    if last.is_public_suffix and last.domain != domain:
        labels = domain.split(".")
        return ".".join(labels[-(last.domain.count(".") + 2) :])
    return last.domain


def _policy(dns: Dns, domain: str, record: DmarcRecord) -> DmarcPolicy:
    tags = record.tags
    requests = {tag: tags[tag] for tag in ("p", "sp", "np") if tag in tags}
    invalid = next((f"{tag}={value}" for tag, value in requests.items() if value not in REQUESTS), "")
    if invalid or "p" not in requests:
        problem = f"{invalid}, which is not a policy" if invalid else "no p"
        if URI.search(tags.get("rua", "")):
            return DmarcPolicy(record, "none", problem=problem)
        return DmarcPolicy(record, fault=f"{record.name} contains {problem}, and no rua: receivers ignore it")
    if record.domain == domain:
        return DmarcPolicy(record, tags["p"])
    for_subdomains = tags.get("sp", tags["p"])
    return DmarcPolicy(record, for_subdomains if _exists(dns, domain) else tags.get("np", for_subdomains))


def _exists(dns: Dns, domain: str) -> bool:
    answer = dns.query(domain, "TXT")
    if answer.error:
        raise DnsError(f"{domain}: {answer.error}")
    return answer.name_exists


def _is_aligned(dns: Dns, domain: str, other: str, *, is_strict: bool) -> bool:
    if domain == other or not other or is_strict:
        return domain == other
    return organizational_domain(dns, domain) == organizational_domain(dns, other)
