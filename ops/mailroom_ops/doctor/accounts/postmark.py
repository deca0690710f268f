"""Postmark: https://postmarkapp.com/developer/api/server-api"""

from collections.abc import Iterator, Mapping, Sequence

from mailroom_ops.doctor.accounts._http import finding_of, get
from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding, ok, warning

__all__ = ["check"]

ENDPOINT = "https://api.postmarkapp.com"
TEST_TOKEN = "POSTMARK_API_TEST"


def check(
    account: str, environment: Environment, values: Mapping[str, str], domains: Sequence[str]
) -> Iterator[Finding]:
    token = values["server_token"].strip()
    if token == TEST_TOKEN:
        yield warning(account, "has the test token: nothing is sent", "Set the token of a server of yours.")
        return
    headers = {"X-Postmark-Server-Token": token, "Accept": "application/json"}
    response = get(account, values, ENDPOINT, "/server", headers=headers)
    if not response.is_success:
        yield finding_of(account, response, "server_token")
        return
    server = response.json()
    if server.get("DeliveryType") == "Sandbox":
        yield warning(account, "is a sandbox server: nothing is delivered", "Set the token of a live server.")
    elif server.get("TrackOpens") or server.get("TrackLinks", "None") != "None":
        yield warning(
            account, "tracks opens or clicks", "Turn it off: rewritten links in auth mail look like phishing."
        )
    else:
        yield ok(account, "the token is valid, and mail is delivered")
