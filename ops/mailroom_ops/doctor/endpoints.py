"""Check that the HTTP endpoints answer, and reject a wrong secret."""

from collections.abc import Iterator, Mapping

import httpx

from mailroom.model.json_settings import merge
from mailroom.model.parameter_names import brand_names
from mailroom.rendering.link_page import LinkPage
from mailroom_ops.doctor import Context
from mailroom_ops.finding import Finding, failed, ok, warning
from mailroom_ops.settings import tenants
from mailroom_ops.tls import ssl_context

__all__ = ["check"]

TIMEOUT_SECONDS = 15.0
WRONG_SECRET = "Bearer a-wrong-secret-from-mailroom-doctor"


def check(context: Context) -> Iterator[Finding]:
    outputs, values = context.environment.outputs, context.values
    body = {"to": "nobody@example.com", "type": "Generic", "payload": {"code": "000000"}}
    for tenant in tenants.list_tenants(values):
        if tenant.has_webhook:
            path = "" if tenant.name == tenants.DEFAULT else f"/{tenant.name}"
            yield _check_endpoint(f"webhook {tenant.name}", outputs["WebhookUrl"] + path, body)
    if any(name.startswith("api/keys/") for name in values):
        yield _check_endpoint("send", outputs["SendUrl"], {"kind": "generic-code", "to": "nobody@example.com"})
    for account in sorted({name.split("/")[1] for name in values if name.startswith("feedback/")}):
        yield _check_endpoint(f"feedback {account}", f"{outputs['FeedbackUrl']}/{account}", {})
    for tenant in tenants.list_tenants(values):
        settings = merge(brand_names(tenant.name), values).values
        brand = {key: text for key, text in settings.items() if isinstance(text, str)}
        if not tenant.removed and (page := LinkPage.of(brand, tenant.name)):
            yield _check_link_page(f"link page {tenant.name}", page)


def _check_link_page(subject: str, page: LinkPage) -> Finding:
    """Load a tenant's page, as a reader's browser does; without it, the links of its mails lead nowhere."""
    if not page.hosts:
        todo = "Add link_hosts to the brand: until then links of mails lead to their hosts directly."
        return warning(subject, "leads to no host", todo)
    try:
        response = httpx.get(page.url, timeout=TIMEOUT_SECONDS, verify=ssl_context())
    except httpx.HTTPError as error:
        todo = "Check link_page of the brand, and the domain's DNS and certificate: links in mails do not work."
        return failed(subject, f"cannot be reached at {page.url}: {type(error).__name__}", todo)
    if response.status_code != 200 or f'data-hosts="{" ".join(page.hosts)}"' not in response.text:
        todo = "Compare link_page of the brand with the stack's output LinkPageUrl. A change takes five minutes."
        return failed(subject, f"is not at {page.url} (status {response.status_code})", todo)
    return ok(subject, f"is at {page.url}")


def _check_endpoint(subject: str, url: str, body: Mapping[str, object]) -> Finding:
    """Post with a wrong secret, which the endpoint must reject."""
    headers = {"Authorization": WRONG_SECRET}
    try:
        response = httpx.post(url, json=body, headers=headers, timeout=TIMEOUT_SECONDS, verify=ssl_context())
    except httpx.HTTPError as error:
        todo = "Check that the stack is deployed, and that this network lets the request out."
        return failed(subject, f"cannot be reached at {url}: {type(error).__name__}", todo)
    match response.status_code:
        case 401:
            duration = f"{response.elapsed.total_seconds() * 1000:.0f} ms"
            return ok(subject, f"answers in {duration}, and rejects a wrong secret")
        case 403:
            todo = "AllowedSourceCidrs excludes it: run the check from the network of your auth server."
            return warning(subject, "rejects the address of this machine", todo)
        case 404:
            return failed(subject, f"does not exist: {url}", "Deploy the stack from this checkout.")
        case 429:
            return warning(subject, "is rate limited at the moment", "Try again in a minute.")
        case status if status < 300:
            todo = "Check its secret at once: anyone who has the URL can send."
            return failed(subject, "accepted a request with a wrong secret", todo)
    return failed(subject, f"answers with {response.status_code}", "See the function's log: /aws/lambda/…")
