"""Compare the DNS of a sending domain with the records that it needs."""

import re
from enum import StrEnum

from mailroom_ops.domains.dmarc import check_dmarc
from mailroom_ops.domains.dns import RETRY, Dns
from mailroom_ops.domains.records import Purpose, Record
from mailroom_ops.domains.spf import read_spf
from mailroom_ops.finding import Finding, Level, failed, ok, warning

__all__ = ["RecordStatus", "check_record", "status_of"]

MISSING = "is missing"


class RecordStatus(StrEnum):
    """The status of a DNS record in one word, for a table."""

    LIVE = "live"
    MISSING = "missing"
    WRONG = "wrong"
    UNKNOWN = "not known"


def status_of(finding: Finding) -> RecordStatus:
    """Return the status that a finding of `check_record` stands for."""
    if finding.level is Level.OK:
        return RecordStatus.LIVE
    if finding.state == MISSING:
        return RecordStatus.MISSING
    return RecordStatus.UNKNOWN if finding.todo == RETRY else RecordStatus.WRONG


def check_record(dns: Dns, record: Record) -> Finding:
    """Check that one required record is live."""
    subject = f"{record.purpose} {record.name} {record.type}"
    answer = dns.query(record.name, record.type)
    if answer.error:
        return failed(subject, answer.error, RETRY)
    if record.purpose is Purpose.SPF:
        return _check_spf(dns, record, subject)
    if record.purpose is Purpose.DMARC:
        return check_dmarc(dns, record.name.removeprefix("_dmarc."))
    if not answer.values:
        return failed(subject, *_explain_missing(dns, record))
    match record.type:
        case "MX":
            return _check_mx(record, answer.values, subject)
        case "CNAME":
            return _check_cname(record, answer.values[0], subject)
    return _check_txt(record, answer.values, subject)


def _explain_missing(dns: Dns, record: Record) -> tuple[str, str]:
    """Return a sentence and a next step for a record that is missing: it may be elsewhere, or of another type."""
    # The form at a DNS host often appends the zone, and the record ends up under the zone twice.
    labels = record.name.split(".")
    for size in range(2, len(labels)):
        zone = ".".join(labels[-size:])
        if dns.query(f"{record.name}.{zone}", record.type).values:
            return f"is at {record.name}.{zone}", f"Your DNS host appends {zone}: leave it out of the name."
    other_type = {"CNAME": "TXT", "TXT": "CNAME"}.get(record.type)
    if other_type and (values := dns.query(record.name, other_type).values):
        return f"is missing; there is a {other_type}: {values[0][:60]}", f"Replace it by the {record.type}."
    return MISSING, f"Add: {record.name} {record.type} {record.shown}"


def _check_cname(record: Record, target: str, subject: str) -> Finding:
    if target == record.value.rstrip(".").lower():
        return ok(subject, "is live")
    return failed(subject, f"contains {target[:60]}", f"Change it to: {record.shown}")


def _check_mx(record: Record, values: tuple[str, ...], subject: str) -> Finding:
    hosts = [value.partition(" ")[2] for value in values]
    if record.value.rstrip(".").lower() not in hosts:
        return failed(subject, f"points to {', '.join(hosts)[:60]}", f"Change it to: {record.shown}")
    if len(hosts) > 1:
        others = ", ".join(host for host in hosts if host != record.value)
        return failed(subject, f"also points to {others}", "Remove the others: bounces would be lost there.")
    return ok(subject, "is live")


def _check_txt(record: Record, values: tuple[str, ...], subject: str) -> Finding:
    expected, published = _without_spaces(record.value), [_without_spaces(value) for value in values]
    keys = [value for value in published if "p=" in value]
    if record.purpose is Purpose.DKIM and len(keys) > 1:
        return failed(subject, f"has {len(keys)} keys, and receivers take any of them", f"Keep one: {record.shown}")
    if expected in published:
        return ok(subject, "is live")
    if any(value and expected.startswith(value) for value in published):
        return failed(
            subject,
            "is cut off",
            "A DNS host with a limit of 255 characters takes the value as several quoted strings.",
        )
    return failed(subject, f"contains {values[0][:60]}", f"Change it to: {record.shown}")


def _without_spaces(text: str) -> str:
    return re.sub(r"[\s\"]", "", text)


def _check_spf(dns: Dns, record: Record, subject: str) -> Finding:
    spf = read_spf(dns, record.name)
    if spf.faults:
        return failed(subject, spf.faults[0], f"One SPF record, such as: {record.shown}")
    if not spf.text:
        return failed(subject, *_explain_missing(dns, record))
    required = {term for term in record.value.lower().split() if term.startswith("include:")}
    if not required <= {f"include:{name}" for name in spf.includes}:
        return failed(subject, f"contains {spf.text[:60]}", f"Change it to: {record.shown}")
    if spf.passes_all:
        return warning(subject, "allows every sender (+all)", f"Change it to: {record.shown}")
    return ok(subject, "is live")
