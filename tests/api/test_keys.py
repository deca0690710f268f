"""API keys: who may send over HTTP, and which tenants and kinds."""

import json
from typing import Any

import pytest

from tests.api.client import KEY, Client, code, notice


@pytest.mark.parametrize(
    "headers",
    [
        {"key": ""},
        {"key": "wrong"},
        {"key": KEY + "x"},
        {"key": KEY[:-1]},
        {"key": "", "authorization": KEY},
        {"key": "", "authorization": f"Basic {KEY}"},
        {"key": "", "authorization": "Bearer"},
        {"key": "", "authorization": "Bearer "},
        {"key": "ключ-🗝"},
        {"key": "\ud800"},
    ],
    ids=lambda headers: ascii(headers),
)
@pytest.mark.parametrize("path", ["/v1/emails", "/v1/emails/batch", "/v1/emails/" + "0" * 32])
def test_without_a_valid_key_nobody_is_authenticated(client: Client, headers: dict[str, str], path: str) -> None:
    answer = client.http("GET" if path.endswith("0") else "POST", path, code(), **headers)

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert [error["field"] for error in answer.body["errors"]] == ["authorization"]
    assert "Authorization: Bearer" in answer.body["errors"][0]["message"]
    assert client.mails() == []
    assert client.logged("Refused")[0]["fields"] == ["authorization"]


def test_without_any_key_configured_nobody_is_authenticated(client: Client) -> None:
    client.remove("api/keys/local")
    for key in ("", "anything", KEY):
        assert client.http("POST", "/v1/emails", code(), key=key).status == 401


@pytest.mark.parametrize(
    "value",
    [
        f"another\n{KEY}\n",
        f"  {KEY}  ",
        f"\n\n{KEY}",
        json.dumps({"key": KEY}),
        json.dumps({"key": f"another\n{KEY}"}),
        json.dumps({"key": ["another", KEY], "tenants": None}),
    ],
)
def test_a_parameter_may_hold_several_values_of_a_key_during_rotation(client: Client, value: str) -> None:
    client.put("api/keys/local", value)
    assert client.send(**code()).status == 200
    assert client.http("POST", "/v1/emails", code(), key="").status == 401


def test_each_named_key_is_valid(client: Client) -> None:
    client.put("api/keys/billing", "billing-key")
    client.put("api/keys/auth", "auth-key")
    assert client.http("POST", "/v1/emails", code(), key="billing-key").status == 200
    assert client.http("POST", "/v1/emails", code(value="1"), key="auth-key").status == 200


def test_the_scheme_bearer_is_case_insensitive(client: Client) -> None:
    assert client.http("POST", "/v1/emails", code(), key="", authorization=f"bEARER {KEY}").status == 200


@pytest.mark.parametrize(
    ("scope", "request_", "fields"),
    [
        ({"tenants": ["acme"]}, code(tenant="acme"), []),
        ({"tenants": ["acme"]}, code(), ["tenant"]),
        ({"tenants": []}, code(), ["tenant"]),
        ({"kinds": ["notification"]}, notice(), []),
        ({"kinds": ["notification"]}, code(), ["kind"]),
        ({"tenants": ["acme"], "kinds": ["notification"]}, code(tenant="other"), ["tenant", "kind"]),
    ],
)
def test_a_key_sends_only_its_tenants_and_kinds(
    client: Client, scope: dict[str, Any], request_: dict[str, Any], fields: list[str]
) -> None:
    client.put("api/keys/local", json.dumps({"key": KEY, **scope}))
    answer = client.send(**request_)

    assert answer.status == (403 if fields else 200)
    assert [error["field"] for error in answer.body.get("errors", [])] == fields
    (result,) = client.http("POST", "/v1/emails/batch", [request_ | {"idempotency_key": "b"}]).body["results"]
    assert result["status"] == ("refused" if fields else "sent")


def test_a_key_looks_up_only_what_it_may_send(client: Client) -> None:
    client.put("api/keys/acme", json.dumps({"key": "acme-key", "tenants": ["acme"]}))
    default, acme = client.send(**code()).body["message_id"], client.send(**code(tenant="acme")).body["message_id"]

    assert client.http("GET", f"/v1/emails/{acme}", key="acme-key").status == 200
    hidden, missing = (client.http("GET", f"/v1/emails/{id_}", key="acme-key") for id_ in (default, "0" * 32))
    assert hidden.status == 404
    assert hidden == missing


@pytest.mark.parametrize(
    "value",
    [
        "{",
        '{"key": 7}',
        '{"tenants": ["acme"]}',
        f'{{"key": "{KEY}", "tenant": ["acme"]}}',
        f'{{"key": "{KEY}", "kinds": "x"}}',
    ],
)
def test_a_malformed_parameter_admits_nobody_and_is_named_in_the_log(client: Client, value: str) -> None:
    client.put("api/keys/broken", value)
    client.put("api/keys/local", "another-key")

    assert client.send(**code()).status == 401

    (line,) = client.logged("Request not completed: a dependency failed")
    assert (line["level"], line["code"]) == ("ERROR", "malformed")
    assert "api/keys/broken" in line["detail"]
    assert KEY not in client.log
    assert client.http("POST", "/v1/emails", code(), key="another-key").status == 200


def test_an_invocation_needs_no_key(client: Client) -> None:
    client.remove("api/keys/local")
    assert client.invoke(code())["status"] == "sent"
