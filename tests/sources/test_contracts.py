"""Every recorded file of an auth server is replayed: requests here, the rest by a test that is named here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import _jsonnet  # type: ignore[import-untyped]
import pytest

from mailroom.aws.client import Aws
from mailroom.model.message import Message
from mailroom.sources import registry
from tests.cloud import put
from tests.sources.contract import Sample
from tests.sources.rendered import Rendered
from tests.sources.webhook import Webhook

ROOT = Path(__file__).parents[2]
JSONNET = ROOT / "clients/kratos/mailroom.jsonnet"
NOW = 1_795_660_591.0
STATIC_HEADER = "X-Mailroom-Key: a-key-of-the-tests"  # of a server of Zitadel that does not sign
PINGONE_FIELDS = {"to": ["to", "To"], "subject": ["subject", "Subject"], "html": ["message", "HtmlBody"]}

# Files that are not requests, and programs: the test that goes through each of their entries.
READ_BY = {
    "auth0/events": "tests/auth0/test_auth0_action.py",
    "better-auth/callbacks.json": "tests/clients/test_better_auth.py",  # their code calls the recipe
    "cognito/encryption-vectors.json": "tests/sources/test_cognito.py",
    "cognito/events": "tests/sources/test_cognito.py",
    "django-allauth/mails.json": "tests/clients/test_django.py",  # their code calls the recipe
    "entra/jwks.json": "tests/sources/test_entra.py",
    "entra/vectors.json": "tests/sources/test_entra.py",
    "fastapi-users/callbacks.json": "tests/clients/test_fastapi_users.py",  # their code calls the recipe
    "hanko/jwks.json": "tests/sources/test_hanko.py",
    "hanko/vectors.json": "tests/sources/test_hanko.py",
    "neon/expect.json": "tests/sources/test_neon.py",
    "neon/jwks.json": "tests/sources/test_neon.py",
    "neon/vectors.json": "tests/sources/test_neon.py",
    "serverpod/callbacks.json": "tests/dart/test_dart.py",
    "standard-webhooks/vectors.json": "tests/sources/test_standard.py",
    "supabase/answers.json": "tests/sources/test_supabase.py",
    "supabase/vectors.json": "tests/sources/test_supabase.py",
    "supertokens/inputs.json": "tests/clients/test_supertokens.py",  # their code calls the recipe
    "zitadel/vectors.json": "tests/sources/test_zitadel.py",
}
NOT_SERVED = {
    "curity/samples": "its example plugin has the recipient in the path, and posts no mail: docs/sources/curity.md",
}
# Where a sample is not sent although it could be: the status of our answer, and why.
OTHERWISE = {
    "casdoor/get_query": (405, "a code in a URL gets into logs"),
    "casdoor/json_post_without_recipient": (422, "Casdoor's JSON has no recipient"),
    "hanko/email_login_attempted": (200, "no code, and an address without an account"),
    "hanko/email_registration_attempted": (200, "no code, and nothing that its owner has to know"),
    "kratos/recovery_code_invalid": (200, "to an address without an account"),
    "kratos/recovery_invalid": (200, "to an address without an account"),
    "kratos/verification_code_invalid": (200, "to an address without an account"),
    "kratos/verification_invalid": (200, "to an address without an account"),
}


@dataclass(frozen=True, slots=True)
class Replay:
    """A recorded request with the settings that its sender needs, and the messages that came of it."""

    status: int
    messages: Sequence[Message]


def settings_of(source: str, content: Mapping[str, Any], folder: Path) -> dict[str, str]:
    match source:
        case "supabase":
            return {"secret": "\n".join(content["secrets"])}
        case "clerk":
            return {"secret": content["secret"]}
        case "zitadel":
            return {"secret": content["signing_key"] or STATIC_HEADER}
        case "casdoor":
            return {"secret": content["auth"]["value"]}
        case "kratos":
            return {"secret": content["auth"]["value"].removeprefix("Bearer ")}
        case "pingone":
            name, value = content["request"]["headers"][1]
            secret = value if name == "Authorization" else f"{name}: {value}"
            return {"secret": secret, "fields": json.dumps(PINGONE_FIELDS)}
    keys = {"keys": (folder.parent / "jwks.json").read_text("utf-8")}
    facts = json.loads((folder.parent / "vectors.json").read_text("utf-8"))
    return keys | {"audience": facts["audience"]} | ({"directory_id": facts["tenant"]} if source == "entra" else {})


def replay(aws: Aws, path: Path) -> Replay:
    source, content = path.parents[1].name, json.loads(path.read_text("utf-8"))
    recorded = Sample(content)
    name, tenant = ("rendered", {"tenant": "pingone"}) if source == "pingone" else (source, {})
    for setting, value in settings_of(source, content, path.parent).items():
        put(aws, "/".join(("webhooks", name, *tenant.values(), setting)), value)
    function = (Webhook if name in registry.NAMES else Rendered)(aws)
    body = recorded.body
    if source == "kratos":
        body = str(_jsonnet.evaluate_file(str(JSONNET), tla_codes={"ctx": content["ctx_text"]}))
    static = [STATIC_HEADER.lower().split(": ")] if source == "zitadel" else []
    headers = {**recorded.headers, **dict(static)}
    method = content["request"]["method"]
    answer = function.post(name, headers, body, recorded.at or NOW, method=method, **tenant)
    return Replay(answer.status, function.messages())


def test_every_recorded_file_has_a_test(contracts: Path) -> None:
    folder = contracts / "auth-servers"
    requests = {path.parent for path in recorded_requests(contracts)}
    names = {path.relative_to(folder).as_posix(): path.parent for path in folder.rglob("*.json")}
    listed = (*READ_BY, *NOT_SERVED)
    missing = [name for name, parent in names.items() if parent not in requests and not name.startswith(listed)]
    assert missing == []
    assert [name for name in listed if not (folder / name).exists()] == []
    assert [test for test in READ_BY.values() if not (ROOT / test).is_file()] == []


def recorded_requests(contracts: Path) -> list[Path]:
    """Return the files with a request each, of the sources that we serve."""
    paths = sorted((contracts / "auth-servers").glob("*/samples/*.json"))
    return [path for path in paths if f"{path.parents[1].name}/samples" not in NOT_SERVED]


def test_every_recorded_request_becomes_what_is_expected(
    contracts: Path, aws: Aws, environment: pytest.MonkeyPatch
) -> None:
    paths = recorded_requests(contracts)
    assert len(paths) > 70
    outcomes = set()
    for path in paths:
        name = f"{path.parents[1].name}/{path.stem}"
        expect = json.loads(path.read_text("utf-8")).get("expect", {})
        result = replay(aws, path)
        if name in OTHERWISE:
            outcomes.add(name)
            assert (result.status, result.messages) == (OTHERWISE[name][0], []), name
            continue
        status = 401 if expect.get("signature") == "invalid" else expect.get("answer", {}).get("status", 200)
        assert result.status == (200 if status == 204 else status), name
        if status > 299 or expect.get("action", "").startswith(("skip", "ignore")):
            assert result.messages == [], name
            continue
        mails = expect.get("mails") or [{"to": to} for to in as_list(expect.get("to", "ada@example.com"))]
        messages = sorted(result.messages, key=lambda message: message.to)
        assert [message.to for message in messages] == sorted(mail["to"] for mail in mails), name
        for message, mail in zip(messages, sorted(mails, key=lambda mail: str(mail["to"])), strict=True):
            require(message, {**expect, **mail}, name)
    assert outcomes == set(OTHERWISE)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def require(message: Message, expect: Mapping[str, Any], name: str) -> None:
    """Require what a recording states: code, link, subject, locales, identity, times and the client's address."""
    text = f"{message.content.html} {message.content.text}" if message.content else ""
    for field in ("code", "link"):
        if value := expect.get(field):
            assert value == message.data.get(field) or value in text.replace("&amp;", "&"), (name, field)
    if message.content and expect.get("subject"):
        assert message.content.subject == expect["subject"], name
    if expect.get("token_hash") and name != "supabase/reauthentication":  # for which there is no page
        assert expect["token_hash"] in str(message.data["link"]), name
    tags = [tag.partition(";")[0] for text in expect.get("locale_candidates") or () for tag in text.split(",")]
    assert set(tags) <= set(message.locales), name
    for part in as_list(expect.get("dedupe_key") or []):
        assert part in message.identity, name
    if expect.get("client_ip"):
        assert message.client_ip == expect["client_ip"], name
    if created_at := expect.get("created_at"):
        assert message.created_at == pytest.approx(datetime.fromisoformat(created_at).timestamp(), abs=0.001), name
    if expires_at := expect.get("expires_at"):
        assert message.expires_at == expires_at, name
    seconds = expect.get("expires_in_s") or 60 * (expect.get("expires_in_minutes") or 0)
    assert not seconds or message.expires_at == message.created_at + seconds, name
