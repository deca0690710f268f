"""Resend: https://resend.com/docs/api-reference/rate-limit"""

from collections.abc import Iterator, Mapping, Sequence

from mailroom_ops.doctor.accounts._http import finding_of, get
from mailroom_ops.domains.resend import ENDPOINT
from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

# The quotas of a free account; a paid one has no daily quota, and its responses have no such header (2026-11).
FREE_QUOTAS = {"x-resend-daily-quota": (100, "a day"), "x-resend-monthly-quota": (3000, "a month")}
WARN_FROM_SHARE = 0.8


def check(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> Iterator[Finding]:
    headers = {"Authorization": f"Bearer {values['api_key'].strip()}"}
    response = get(account, values, ENDPOINT, "/domains", headers=headers, params={"limit": 100})
    try:
        body = response.json()
    except ValueError:
        body = {}
    if body.get("name") == "restricted_api_key":
        yield ok(account, "the key is valid, and restricted to sending")
    elif not response.is_success:
        yield finding_of(account, response, "api_key")
        return
    elif environment.is_local:
        yield ok(account, "is sent through its sandbox")
    else:
        yield warning(account, "the key is valid, and has full access", "Use a key that may only send.")
        if not any(item.get("status") in ("verified", "partially_verified") for item in body.get("data", [])):
            todo = "Verify a domain: until then, only the owner of the account gets mail."
            yield failed(account, "is in test mode: it has no verified domain", todo)
    for header, (limit, per) in FREE_QUOTAS.items():
        used = response.headers.get(header, "")
        if used.isdigit() and int(used) >= WARN_FROM_SHARE * limit:
            yield warning(
                account,
                f"has used {used} of a free account's {limit} mails {per}",
                "Upgrade, or add a second provider.",
            )
