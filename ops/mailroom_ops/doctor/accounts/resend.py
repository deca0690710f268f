"""Resend: https://resend.com/docs/api-reference/rate-limit"""

from collections.abc import Iterator, Mapping

from mailroom_ops.doctor.accounts._http import ask, refused
from mailroom_ops.domains.resend import ENDPOINT
from mailroom_ops.finding import Finding, failed, ok, warning

__all__ = ["check"]

# A free account's; a paid one has no daily quota, and then no header tells of one (2026-11).
FREE = {"x-resend-daily-quota": (100, "a day"), "x-resend-monthly-quota": (3000, "a month")}
NEARLY = 0.8


def check(account: str, values: Mapping[str, str]) -> Iterator[Finding]:
    headers = {"Authorization": f"Bearer {values['api_key'].strip()}"}
    answer = ask(account, values, ENDPOINT, "/domains", headers=headers, params={"limit": 100})
    try:
        said = answer.json()
    except ValueError:
        said = {}
    if said.get("name") == "restricted_api_key":
        yield ok(account, "the key is good, and may only send, as it should")
    elif not answer.is_success:
        yield refused(account, answer, "api_key")
        return
    else:
        yield warning(account, "the key is good, and may do everything", "A key that may only send would do.")
        if not any(item.get("status") in ("verified", "partially_verified") for item in said.get("data", [])):
            todo = "Verify a domain: until then, mail reaches nobody but the owner of the account."
            yield failed(account, "is in test mode: it has no verified domain", todo)
    for header, (limit, per) in FREE.items():
        used = answer.headers.get(header, "")
        if used.isdigit() and int(used) >= NEARLY * limit:
            yield warning(
                account,
                f"has used {used} of a free account's {limit} mails {per}",
                "Upgrade, or add a second provider.",
            )
