"""Whether the doors answer, and let in nobody with a wrong key."""

from collections.abc import Iterator, Mapping

import httpx

from mailroom_ops.doctor import Case
from mailroom_ops.finding import Finding, failed, ok, warning
from mailroom_ops.settings import tenants
from mailroom_ops.tls import ssl_context

__all__ = ["check"]

PATIENCE = 15.0
WRONG = "Bearer a-wrong-secret-from-mailroom-doctor"


def check(case: Case) -> Iterator[Finding]:
    outputs, values = case.environment.outputs, case.values
    body = {"to": "nobody@example.com", "type": "Generic", "payload": {"code": "000000"}}
    for tenant in tenants.all_of(case.values):
        if tenant.has_webhook:
            path = "" if tenant.name == tenants.DEFAULT else f"/{tenant.name}"
            yield _knock(f"webhook {tenant.name}", outputs["WebhookUrl"] + path, body)
    if any(name.startswith("api/keys/") for name in values):
        yield _knock("send", outputs["SendUrl"], {"kind": "generic-code", "to": "nobody@example.com"})
    for account in sorted({name.split("/")[1] for name in values if name.startswith("feedback/")}):
        yield _knock(f"feedback {account}", f"{outputs['FeedbackUrl']}/{account}", {})


def _knock(subject: str, url: str, body: Mapping[str, object]) -> Finding:
    """Post with a wrong secret, which has to be refused as one."""
    try:
        answer = httpx.post(url, json=body, headers={"Authorization": WRONG}, timeout=PATIENCE, verify=ssl_context())
    except httpx.HTTPError as error:
        return failed(
            subject,
            f"cannot be reached at {url}: {type(error).__name__}",
            "Is the stack deployed, and the network open?",
        )
    took = f"in {answer.elapsed.total_seconds() * 1000:.0f} ms"
    match answer.status_code:
        case 401:
            return ok(subject, f"answers {took}, and refuses a wrong secret")
        case 403:
            return warning(
                subject, "refuses this machine's address", "AllowedSourceCidrs says so: try it from where Logto runs."
            )
        case 404:
            return failed(subject, f"is not there: {url}", "Deploy the stack as template.yaml has it.")
        case 429:
            return warning(subject, "is asked too often just now", "Try again in a minute.")
        case status if status < 300:
            return failed(
                subject,
                "took a request with a wrong secret",
                "Look at its secret at once: whoever knows the address can send.",
            )
    return failed(subject, f"answers with {answer.status_code}", "Its log says why: /aws/lambda/…")
