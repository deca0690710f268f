"""Check that auth mail does not share a domain with marketing, notifications or people's mailboxes.

Marketing draws complaints, and all mail from a domain shares its reputation.
"""

from collections.abc import Iterator, Mapping

from mailroom_ops.domains.dmarc import organizational_domain
from mailroom_ops.domains.dns import Dns, DnsError
from mailroom_ops.domains.spf import read_spf
from mailroom_ops.finding import Finding, ok, warning
from mailroom_ops.settings.tenants import domains_of

__all__ = ["check_separation"]

# The domains that these services have their customers include in SPF.
MARKETING_SERVICES: Mapping[str, str] = {
    "servers.mcsv.net": "Mailchimp",
    "hubspotemail.net": "HubSpot",
    "klaviyomail.com": "Klaviyo",
    "sendinblue.com": "Brevo",
    "spf.brevo.com": "Brevo",
    "exacttarget.com": "Salesforce Marketing Cloud",
    "mktomail.com": "Marketo",
    "cmail1.com": "Campaign Monitor",
    "createsend.com": "Campaign Monitor",
    "activecampaign.com": "ActiveCampaign",
    "spf.mailjet.com": "Mailjet",
    "mailerlite.com": "MailerLite",
    "convertkit.com": "Kit",
    "customeriomail.com": "Customer.io",
    "constantcontact.com": "Constant Contact",
}
MARKETING_LABELS = frozenset(
    {"marketing", "news", "newsletter", "newsletters", "promo", "promotions", "campaign", "campaigns", "offers"}
)


def check_separation(dns: Dns, values: Mapping[str, str]) -> Iterator[Finding]:
    """Check each domain that auth mail is sent from."""
    for domain, uses in domains_of(values).items():
        if not any(purpose == "auth" for _, purpose in uses):
            continue
        findings = list(_check_domain(dns, domain, uses))
        yield from findings
        if not findings:
            yield ok(f"separation {domain}", "only auth mail uses this domain, as far as DNS shows")


def _check_domain(dns: Dns, domain: str, uses: list[tuple[str, str]]) -> Iterator[Finding]:
    subject = f"separation {domain}"
    problems = list(_problems(dns, domain, uses))
    todo = f"Send auth mail from its own domain, such as {_suggestion(dns, domain)}." if problems else ""
    for problem in problems:
        yield warning(subject, problem, todo)


def _problems(dns: Dns, domain: str, uses: list[tuple[str, str]]) -> Iterator[str]:
    if MARKETING_LABELS & set(domain.split(".")):
        yield "has the name of a domain for marketing"
    included = read_spf(dns, domain).includes
    services = {service for name in included for end, service in MARKETING_SERVICES.items() if name.endswith(end)}
    if services:
        yield f"its SPF includes {', '.join(sorted(services))}: marketing is sent from here too"
    elif dns.query(domain, "MX").values and dns.query(domain, "SOA").values:
        yield "is also the domain of your people's mailboxes"
    others = [tenant for tenant, purpose in uses if purpose == "notification"]
    if others:
        yield f"notifications of {', '.join(others)} are sent from here too"


def _suggestion(dns: Dns, domain: str) -> str:
    try:
        parent = organizational_domain(dns, domain)
    except DnsError:
        parent = domain
    return next(name for name in (f"auth.{parent}", f"login.{parent}") if name != domain)
