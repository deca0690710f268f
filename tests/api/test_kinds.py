"""Kinds and tenants: a misspelled one is refused with a suggestion, never sent as something else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.model.kinds import KINDS, Lane
from mailroom_ops.sandbox.server import Sandbox
from tests.api.client import KEY, Client, code, notice
from tests.cloud import ROOT

BUILT_IN = ROOT / "layers" / "templates"
OWN_FILES = {
    "acme/emails/parking-permit.html": '{% extends "layout.html" %}{% block body %}<p>Park here.</p>{% endblock %}',
    "acme/locales/de.toml": '[welcome]\nsubject = "Willkommen"\ntext = "Schön, dass du da bist."',
    "acme/texts.toml": "[about]\ndigits = broken",
    "acme/emails/magic-link.txt": "{{ not a template",
    "acme/emails/security-notice.txt": "Something has changed.",
}


@pytest.fixture
def client_with_templates(
    environment: pytest.MonkeyPatch, aws: Aws, sandbox: Sandbox, client: Client, tmp_path: Path
) -> Client:
    """A process whose tenant acme has templates and texts of its own, some of them broken, and no other setting."""
    for path in BUILT_IN.iterdir():
        (tmp_path / path.name).symlink_to(path)
    for name, content in OWN_FILES.items():
        path = tmp_path / "tenants" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    client.remove("brands/acme")
    environment.setenv("TEMPLATES_DIR", str(tmp_path))
    return Client(aws, sandbox)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("sign-in-cod", "There is no kind sign-in-cod. Did you mean sign-in-code?"),
        ("signin-code", "Did you mean sign-in-code?"),
        ("reset-password", "Did you mean password-reset?"),
        ("magic-links", "Did you mean magic-link?"),
        ("welcome", "Did you mean notification?"),
        ("xyz", "add the tenant's own template emails/xyz.html."),
    ],
)
def test_an_unknown_kind_is_refused_with_a_suggestion(client: Client, kind: str, sentence: str) -> None:
    answer = client.send(**code(kind=kind))

    assert answer.status == 422
    assert [error["field"] for error in answer.body["errors"]] == ["kind"]
    assert sentence in answer.body["errors"][0]["message"]
    assert client.invoke(code(kind=kind)) == answer.body
    assert client.mails() == []


def test_each_built_in_kind_is_sent(client: Client) -> None:
    for number, (kind, lane) in enumerate(KINDS.items()):
        request = code(str(number), kind=kind) if lane is Lane.CODES else notice(kind=kind)
        assert client.invoke(request)["status"] == "sent"
    assert [mail.kind for mail in reversed(client.mails())] == list(KINDS)


def test_a_magic_link_is_a_sign_in_code(client: Client) -> None:
    request = code(data={"link": "https://app.example.com/in?t=1"}, idempotency_key="k")

    first, second = client.send(**(request | {"kind": "magic-link"})), client.send(**request)

    assert first.body == second.body
    assert [mail.kind for mail in client.mails()] == ["sign-in-code"]


@pytest.mark.parametrize("kind", ["parking-permit", "welcome"])
def test_a_kind_of_the_tenants_own_files_needs_no_content(client_with_templates: Client, kind: str) -> None:
    answer = client_with_templates.send(kind=kind, to="reader@reader.example", tenant="acme", locale="de")

    assert (answer.status, answer.body["status"]) == (200, "sent")
    assert client_with_templates.mails()[0].kind == kind
    assert "Park here." in client_with_templates.mails()[0].html or "Schön" in client_with_templates.mails()[0].html


def test_a_kind_of_another_tenant_is_unknown(client_with_templates: Client) -> None:
    answer = client_with_templates.send(**code(kind="parking-permit"))
    assert [error["field"] for error in answer.body["errors"]] == ["kind"]


def test_a_key_of_one_tenant_learns_no_kind_of_another(client_with_templates: Client) -> None:
    client_with_templates.put("api/keys/local", json.dumps({"key": KEY, "tenants": ["default"]}))
    answer = client_with_templates.send(**code(kind="parking-permits", tenant="acme"))
    assert "parking-permit." not in json.dumps(answer.body)
    assert "parking-permit?" not in json.dumps(answer.body)


def test_a_tenants_own_kind_beats_an_alias_even_while_its_template_is_broken(client_with_templates: Client) -> None:
    answer = client_with_templates.send(**code(kind="magic-link", tenant="acme"))
    assert answer.status == 200
    assert [mail.kind for mail in client_with_templates.mails()] == ["magic-link"]


def test_a_security_notice_with_the_tenants_own_text_needs_no_other(client_with_templates: Client) -> None:
    request = {"kind": "security-notice", "to": "reader@reader.example"}
    assert client_with_templates.send(**request).status == 422
    assert client_with_templates.send(**request, tenant="acme").status == 200
    assert "Something has changed." in client_with_templates.mails()[0].text


def test_a_table_of_shared_texts_is_no_kind(client_with_templates: Client) -> None:
    assert client_with_templates.send(**code(kind="about", tenant="acme")).status == 422


@pytest.mark.parametrize("request_", [code(tenant="nosuch"), notice(tenant="nosuch", mode="queued")])
def test_an_unknown_tenant_is_refused(client: Client, request_: dict[str, object]) -> None:
    answer = client.send(**request_)

    assert answer.status == 422
    assert [error["field"] for error in answer.body["errors"]] == ["tenant"]
    assert "mailroom tenant add nosuch" in answer.body["errors"][0]["message"]
    assert client.invoke([request_])["results"] == [answer.body]
    assert client.mails() == []
    assert client.rows() == []


@pytest.mark.parametrize("name", ["senders/new/auth", "senders/new/notification", "brands/new"])
def test_a_tenant_has_a_sender_or_a_brand(client: Client, name: str) -> None:
    client.put(name, '{"name": "New"}' if name.startswith("brands") else '{"from": "new@example.com"}')
    assert client.send(**code(tenant="new")).status == 200


def test_an_unknown_tenant_is_looked_up_once_for_many_requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    call = client.aws.call

    def counting(_: Aws, service: str, operation: str, payload: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        calls.append(service)
        return call(service, operation, payload, **options)

    monkeypatch.setattr(Aws, "call", counting)
    for _ in range(5):
        assert client.send(**code(tenant="nosuch")).status == 422

    assert calls.count("ssm") == 3  # the API keys, what a mail of this tenant needs, and its other sender
