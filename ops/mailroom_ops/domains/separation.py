"""Whether mail that people wait for is kept apart from mail that people complain about.

Marketing draws complaints, and a domain's good name is shared by all that leaves from it.
"""

from collections.abc import Iterator, Mapping

from mailroom_ops.domains.dns import Dns
from mailroom_ops.domains.dns_check import spf_of
from mailroom_ops.finding import Finding, ok, warning
from mailroom_ops.settings.tenants import domains_of

__all__ = ["check_apart"]

# What these services ask to be included into SPF.
MARKETING: Mapping[str, str] = {
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
NAMES = frozenset(
    {"marketing", "news", "newsletter", "newsletters", "promo", "promotions", "campaign", "campaigns", "offers"}
)


def check_apart(dns: Dns, values: Mapping[str, str]) -> Iterator[Finding]:
    """Look at each domain that auth mail leaves from."""
    for domain, uses in domains_of(values).items():
        if not any(purpose == "auth" for _, purpose in uses):
            continue
        found = list(_mixed(dns, domain, uses))
        yield from found
        if not found:
            yield ok(f"apart {domain}", "auth mail has this domain to itself, as far as DNS tells")


def _mixed(dns: Dns, domain: str, uses: list[tuple[str, str]]) -> Iterator[Finding]:
    subject = f"apart {domain}"
    labels = domain.split(".")
    todo = f"Send auth mail from a domain of its own, such as auth.{'.'.join(labels[-2:])}."
    if NAMES & set(labels):
        yield warning(subject, "looks like a domain for marketing", todo)
    services = sorted(
        {name for part in spf_of(dns, domain).includes for end, name in MARKETING.items() if part.endswith(end)}
    )
    if services:
        yield warning(subject, f"its SPF lets {', '.join(services)} send: marketing leaves from here too", todo)
    elif dns.ask(domain, "MX").values and dns.ask(domain, "SOA").values:
        yield warning(subject, "is the domain your people have their mailboxes at", todo)
    others = [tenant for tenant, purpose in uses if purpose == "notification"]
    if others:
        yield warning(subject, f"notifications of {', '.join(others)} leave from here too", todo)
