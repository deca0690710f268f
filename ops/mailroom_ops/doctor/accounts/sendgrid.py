"""SendGrid: https://www.twilio.com/docs/sendgrid/api-reference/api-key-permissions"""

from collections.abc import Iterator, Mapping, Sequence

from mailroom_ops.doctor.accounts._http import finding_of, get
from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding, failed, ok

__all__ = ["check"]

ENDPOINT = "https://api.sendgrid.com"


def check(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> Iterator[Finding]:
    headers = {"Authorization": f"Bearer {values['api_key'].strip()}"}
    response = get(account, values, ENDPOINT, "/v3/scopes", headers=headers)
    if not response.is_success:
        yield finding_of(account, response, "api_key")
    elif "mail.send" not in response.json().get("scopes", []):
        yield failed(account, "the key may not send", "Give it the permission Mail Send.")
    else:
        yield ok(account, "the key is valid, and may send")
