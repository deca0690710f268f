"""SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/api-key-permissions"""

from collections.abc import Iterator, Mapping

from mailroom_ops.doctor.accounts._http import ask, refused
from mailroom_ops.finding import Finding, failed, ok

__all__ = ["check"]

ENDPOINT = "https://api.sendgrid.com"


def check(account: str, values: Mapping[str, str]) -> Iterator[Finding]:
    headers = {"Authorization": f"Bearer {values['api_key'].strip()}"}
    answer = ask(account, values, ENDPOINT, "/v3/scopes", headers=headers)
    if not answer.is_success:
        yield refused(account, answer, "api_key")
    elif "mail.send" not in answer.json().get("scopes", []):
        yield failed(account, "the key may not send", "Give it the permission Mail Send.")
    else:
        yield ok(account, "the key is good, and may send")
