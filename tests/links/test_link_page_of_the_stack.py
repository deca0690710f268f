"""The link page on the local stack: template.yaml's route, a real process of the function, a real mail."""

import json

from tests.running import Running

BRAND = "/mailroom/development/brands/linked"


def test_the_link_of_a_mail_leads_to_the_page_of_its_tenant(stack: Running) -> None:
    brand = {"name": "Linked", "link_page": f"{stack.url}/l", "link_hosts": "app.linked.example"}
    stack.aws("ssm").put_parameter(Name=BRAND, Value=json.dumps(brand), Type="String")
    to = stack.address()
    body = {
        "kind": "password-reset",
        "tenant": "linked",
        "to": to,
        "locale": "fr",
        "data": {"link": "https://app.linked.example/reset?token=a1b2c3"},
    }
    headers = {"authorization": "Bearer local-api-key", "content-type": "application/json"}
    assert stack.request("POST", "/v1/emails", json.dumps(body), headers).json()["status"] == "sent"

    (link,) = [word for word in stack.mail_to(to).text.split() if word.startswith(f"{stack.url}/l/linked")]
    path = link.removeprefix(stack.url).partition("#")[0]
    page, head = stack.request("GET", path), stack.request("HEAD", path)

    assert path == "/l/linked?lang=fr"
    assert (page.status, head.status, head.body) == (200, 200, b"")
    assert 'data-hosts="app.linked.example"' in page.text
    assert "Continuer vers Linked" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "a1b2c3" not in "\n".join(stack.logs())
    assert stack.request("GET", "/l/nobody").status == 404
