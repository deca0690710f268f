"""The routes of all sources, their credentials, and the identity and times of a message."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailroom.aws.client import Aws
from mailroom.errors import RequestError
from mailroom.model.parameter_names import webhook_setting
from mailroom.request import Request
from mailroom.sources import registry
from mailroom.sources.source import VerifiedRequest
from mailroom_ops.local.source_requests import SourceRequests
from tests.cloud import put
from tests.sources.webhook import Webhook

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000.0
HOUR = 3600.0
LIFETIME = 600.0


@pytest.fixture
def webhook(aws: Aws, environment: pytest.MonkeyPatch) -> Webhook:
    return Webhook(aws)


def verified(at: float = NOW, tenant: str = "default") -> VerifiedRequest:
    """Return an authenticated request, received at a Unix time."""
    return VerifiedRequest(Request("POST", {}, {}, b"{}", "203.0.113.9", at), "supabase", tenant, {}, LIFETIME)


def sign_in(request: VerifiedRequest, **facts: Any) -> Any:
    return request.message("sign-in-code", "ada@example.com", {"code": "123456"}, **facts)


def test_logto_has_the_same_route_as_any_source(webhook: Webhook, aws: Aws) -> None:
    put(aws, "webhooks/logto/authorization", "Bearer local-logto-token")
    headers = {"authorization": "Bearer local-logto-token", "content-type": "application/json"}
    body = json.dumps({"to": "ada@example.com", "type": "SignIn", "payload": {"code": "123456"}})
    answer = webhook.post("logto", headers, body, NOW)
    (message,) = webhook.messages()
    assert answer.status == 200
    assert answer.json == {"message_id": message.id, "status": "accepted"}


@pytest.mark.parametrize("name", ["nobody", "source", "registry", "direct", "Logto", "..", "os", "logto.x", ""])
def test_an_unknown_source_is_a_404_and_causes_no_lookup(webhook: Webhook, name: str) -> None:
    calls = webhook.function.record_calls()
    answer = webhook.post(name, {}, b"{}", NOW)
    assert answer.status == 404
    assert answer.body.startswith("There is no source of this name: use logto")
    assert all(source in answer.body for source in (*registry.NAMES, *registry.SEALED))
    assert calls == []


def test_the_events_in_the_repository_are_accepted_with_the_local_secrets(webhook: Webhook, aws: Aws) -> None:
    for name, value in yaml.safe_load((ROOT / "ops/mailroom_ops/local/secrets.yaml").read_text("utf-8")).items():
        put(aws, name, value)
    for path in (ROOT / "events").glob("webhook-*.json"):
        assert webhook.send(json.loads(path.read_text("utf-8"))).status == 200, path.name


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_source_has_an_event_of_its_own(name: str) -> None:
    own = "webhook-sign-in" if name == "logto" else f"webhook-{name}"
    assert (ROOT / "events" / f"{own}.json").is_file()


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_module_declares_the_source_of_its_name(name: str) -> None:
    source = registry.load(name)
    assert source.name == name
    assert {*source.secrets} <= {*source.required, *source.optional}


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_source_without_settings_is_a_503_and_the_log_has_the_command(webhook: Webhook, name: str) -> None:
    answer = webhook.post(name, {"content-type": "application/json"}, b"{}", NOW)
    assert answer.status == 503
    (line,) = webhook.function.logged("Message not queued: a dependency failed")
    first = next(iter(registry.load(name).required))
    assert f"mailroom secrets set {webhook_setting(name, 'default', first)}" in line["detail"]


@pytest.mark.parametrize("name", registry.NAMES)
def test_unknown_tenants_get_one_answer_and_one_lookup_for_all(webhook: Webhook, name: str) -> None:
    calls = webhook.function.record_calls()
    answers = [webhook.post(name, {}, b"{}", NOW, tenant=tenant) for tenant in ("acme", "nobody", "Acme", "../acme")]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert calls == ["ssm GetParametersByPath"]


def test_a_request_that_comes_again_is_the_same_message() -> None:
    facts = {"key": "event 1", "created_at": NOW - 5}
    first, again = sign_in(verified(), **facts), sign_in(verified(NOW + 5 * HOUR), **facts)
    assert first == again
    assert first.id.startswith(f"{int((NOW - 5) * 1000):012x}")


@pytest.mark.parametrize(
    "other",
    [
        sign_in(verified(), key="event 2", created_at=NOW),
        sign_in(verified(tenant="acme"), key="event 1", created_at=NOW),
        sign_in(verified(), key="event 1", created_at=NOW + 1),
        verified().message("mfa-code", "ada@example.com", {"code": "123456"}, key="event 1", created_at=NOW),
        verified().message("sign-in-code", "bob@example.com", {"code": "123456"}, key="event 1", created_at=NOW),
    ],
    ids=["key", "tenant", "time", "kind", "recipient"],
)
def test_another_mail_has_another_id(other: Any) -> None:
    assert sign_in(verified(), key="event 1", created_at=NOW).id != other.id


def test_without_a_time_of_the_source_a_key_is_an_identity_but_no_id() -> None:
    first, again = sign_in(verified(), key="event 1"), sign_in(verified(), key="event 1")
    assert first.id != again.id
    assert first.identity == again.identity


def test_times_are_the_sources_but_never_in_the_future() -> None:
    late = sign_in(verified(), key="event 1", created_at=NOW - HOUR)
    assert (late.created_at, late.expires_at) == (NOW - HOUR, NOW - HOUR + LIFETIME)
    assert sign_in(verified(), created_at=NOW + 60).created_at == NOW
    assert sign_in(verified(), expires_at=NOW + 90).expires_at == NOW + 90
    assert sign_in(verified(), expires_at=NOW + 1e9).expires_at == NOW + 7 * 24 * HOUR


@pytest.mark.parametrize("time", [-62_135_596_800.0, 0.0, NOW + 2 * 24 * HOUR, 253_402_300_799.0])
def test_a_time_that_cannot_be_the_sources_is_that_of_the_request(time: float) -> None:
    message = sign_in(verified(), key="event 1", created_at=time)
    assert message.created_at == NOW
    assert re.fullmatch("[0-9a-f]{32}", message.id)


def test_locales_are_tags_without_repetition() -> None:
    tags = sign_in(verified(), locales=["de-AT", None, "de-AT", 7, "en", "<b>", "x" * 99]).locales
    assert tags == ("de-AT", "en")


@pytest.mark.parametrize("to", [None, 7, "", "ada", "ada@example.com,bob@example.com", "Ada <ada@example.com>", ["a"]])
def test_a_recipient_is_exactly_one_address(to: Any) -> None:
    with pytest.raises(RequestError) as refused:
        verified().message("sign-in-code", to, {"code": "123456"})
    assert refused.value.status == 422


def test_optional_settings_that_most_tenants_lack_cost_no_tenant_its_mail(webhook: Webhook, aws: Aws) -> None:
    names = [f"tenant{number:03}" for number in range(160)]  # more than a few requests read of the tree
    for name in names:
        put(aws, f"webhooks/supabase/{name}/secret", "v1,whsec_bG9jYWwtc3VwYWJhc2Utc2VjcmV0LTAwMDE=")
    request = SourceRequests(ROOT, ROOT / "ops/mailroom_ops/local/secrets.yaml").make("supabase", NOW)
    for name in names:
        answer = webhook.post("supabase", request.headers, request.body, NOW, tenant=name)
        assert answer.status == 200, name
    assert webhook.post("supabase", request.headers, request.body, NOW, tenant="nobody").status == 401
