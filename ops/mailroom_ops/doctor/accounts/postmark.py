"""Postmark: https://postmarkapp.com/developer/api/server-api"""

from collections.abc import Iterator, Mapping

from mailroom_ops.doctor.accounts._http import ask, refused
from mailroom_ops.finding import Finding, ok, warning

__all__ = ["check"]

ENDPOINT = "https://api.postmarkapp.com"
TEST_TOKEN = "POSTMARK_API_TEST"


def check(account: str, values: Mapping[str, str]) -> Iterator[Finding]:
    token = values["server_token"].strip()
    if token == TEST_TOKEN:
        yield warning(account, "has the test token: nothing is sent", "Set the token of a server of yours.")
        return
    headers = {"X-Postmark-Server-Token": token, "Accept": "application/json"}
    answer = ask(account, values, ENDPOINT, "/server", headers=headers)
    if not answer.is_success:
        yield refused(account, answer, "server_token")
        return
    found = answer.json()
    if found.get("DeliveryType") == "Sandbox":
        yield warning(account, "is a sandbox server: nothing is delivered", "Set the token of a live server.")
    elif found.get("TrackOpens") or found.get("TrackLinks", "None") != "None":
        yield warning(account, "tracks readers", "Turn it off: rewritten links in auth mail look like phishing.")
    else:
        yield ok(account, "the token is good, and mail is delivered")
