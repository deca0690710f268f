"""Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/domains"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from mailroom_ops.doctor.accounts._http import finding_of, get
from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

ENDPOINT = "https://api.mailgun.net"


def check(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> Iterator[Finding]:
    key = values["api_key"].strip()
    configured = values.get("domain", "").strip()
    for domain in [configured] if configured else domains:
        response = get(account, values, ENDPOINT, f"/v4/domains/{quote(domain, safe='')}", auth=("api", key))
        subject = f"{account} {domain}"
        if response.status_code == 404:
            todo = "Add it there. A domain in the EU needs providers/mailgun/endpoint https://api.eu.mailgun.net."
            yield failed(subject, "is not registered there", todo)
        elif response.status_code in (401, 403):
            # Mailgun's answer is the same for a key that may only send and for a wrong one.
            problem = "does not let this key read: it may only send, or is wrong"
            yield warning(subject, problem, "Add --send-test-to with an address of yours.")
        elif not response.is_success:
            yield finding_of(account, response, "api_key")
            return
        else:
            registration = response.json().get("domain", {})
            if registration.get("state") != "active":
                yield failed(
                    subject, f"is {registration.get('state')}", "Add its DNS records, and have Mailgun verify them."
                )
            elif registration.get("type") == "sandbox":
                yield warning(subject, "is a sandbox: only authorized recipients get mail", "Add a domain of yours.")
            else:
                yield ok(subject, "the key is valid, and the domain is active")
