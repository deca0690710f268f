"""Mailgun: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/domains"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from mailroom_ops.doctor.accounts._http import ask, refused
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

ENDPOINT = "https://api.mailgun.net"


def check(account: str, values: Mapping[str, str], domains: Sequence[str]) -> Iterator[Finding]:
    key = values["api_key"].strip()
    own = values.get("domain", "").strip()
    for domain in [own] if own else domains:
        answer = ask(account, values, ENDPOINT, f"/v4/domains/{quote(domain, safe='')}", auth=("api", key))
        subject = f"{account} {domain}"
        if answer.status_code == 404:
            todo = "Add it there. A domain in the EU needs providers/mailgun/endpoint https://api.eu.mailgun.net."
            yield failed(subject, "is not registered there", todo)
        elif answer.status_code in (401, 403):
            # A sending key may only send; whether one that may not look is such a key or a wrong one, nobody says.
            why = "does not let this key look: it is a sending key, or a wrong one"
            yield warning(subject, why, "Add --send-test-to with an address of yours.")
        elif not answer.is_success:
            yield refused(account, answer, "api_key")
            return
        else:
            found = answer.json().get("domain", {})
            if found.get("state") != "active":
                yield failed(subject, f"is {found.get('state')}", "Add its DNS records, and have Mailgun verify them.")
            elif found.get("type") == "sandbox":
                yield warning(
                    subject, "is a sandbox: mail reaches only authorised recipients", "Add a domain of yours."
                )
            else:
                yield ok(subject, "the key is good, and the domain is active")
