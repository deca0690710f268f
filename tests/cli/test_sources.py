"""`mailroom sources`: the public keys of auth servers."""

import json
from pathlib import Path

import pytest

from mailroom_ops.settings.source_keys import key_sets
from mailroom_ops.web.server import Request, Response
from tests.cli.helpers import Stored
from tests.command import Run
from tests.serving import serving

ROOT = Path(__file__).parents[2]
KEY = json.loads((ROOT / "ops/mailroom_ops/local/signing_keys.json").read_text("utf-8"))["hanko"]
PUBLIC = {name: value for name, value in KEY.items() if name != "d"}
PUBLISHED = json.dumps({"keys": [PUBLIC | {"x5c": ["M" * 5000]}]})
JSON = (("content-type", "application/json"),)


def test_refresh_keys_stores_what_the_auth_server_publishes(run: Run, staging: Stored) -> None:
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.path)
        return Response(200, PUBLISHED.encode(), JSON)

    with serving(answer) as port:
        run("secrets", "set", "webhooks/hanko/api_url", f"http://127.0.0.1:{port}/", "--env", "staging")
        run("secrets", "set", "webhooks/hanko/acme/api_url", f"http://127.0.0.1:{port}", "--env", "staging")
        done = run("sources", "refresh-keys", "--env", "staging")
        again = run("sources", "refresh-keys", "--env", "staging")
    assert (done.code, again.code) == (0, 0)
    assert asked == ["/.well-known/jwks.json"] * 4
    assert "webhooks/hanko/keys is set in staging" in done.text
    assert "already" in again.text
    for name in ("webhooks/hanko/keys", "webhooks/hanko/acme/keys"):
        assert json.loads(staging.values()[name]) == {"keys": [PUBLIC]}
        assert staging.types()[name] is False


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (500, b"", "answers with 500"),
        (200, b"<html>", "must be a JSON Web Key Set"),
        (200, b'{"keys": []}', "with at least one key"),
    ],
)
def test_an_unusable_answer_leaves_the_keys_as_they_are(
    run: Run, staging: Stored, status: int, body: bytes, problem: str
) -> None:
    with serving(lambda request: Response(status, body, JSON)) as port:
        run("secrets", "set", "webhooks/hanko/api_url", f"http://127.0.0.1:{port}", "--env", "staging")
        done = run("sources", "refresh-keys", "--env", "staging")
    assert done.code == 3
    assert problem in done.text
    assert "webhooks/hanko/keys" not in staging.values()


def test_the_doctor_compares_the_keys_with_the_published_ones(run: Run, staging: Stored) -> None:
    other = json.dumps({"keys": [PUBLIC | {"kid": "rolled"}]})
    with serving(lambda request: Response(200, PUBLISHED.encode(), JSON)) as port:
        run("secrets", "set", "webhooks/hanko/api_url", f"http://127.0.0.1:{port}", "--env", "staging")
        missing = run("doctor", "--only", "settings", "--env", "staging")
        staging.put(webhooks__hanko__keys=other)
        differing = run("doctor", "--only", "settings", "--env", "staging")
        run("sources", "refresh-keys", "--env", "staging")
        equal = run("doctor", "--only", "settings", "--env", "staging")
    assert "webhooks/hanko/keys: is not set, so this auth server cannot send" in missing.text
    assert "webhooks/hanko/keys: differs from the keys that" in differing.text
    assert "mailroom sources refresh-keys --env staging" in differing.text
    assert "hanko/keys" not in equal.text


def test_an_auth_server_that_does_not_answer_is_named(run: Run, staging: Stored) -> None:
    run("secrets", "set", "webhooks/hanko/api_url", "http://127.0.0.1:9", "--env", "staging")
    done = run("sources", "refresh-keys", "--env", "staging")
    assert done.code == 3
    assert "http://127.0.0.1:9/.well-known/jwks.json does not answer" in done.text


def test_an_environment_without_such_a_source_needs_no_keys(run: Run, staging: Stored) -> None:
    assert "No source of this environment needs public keys" in run("sources", "refresh-keys", "--env", "staging").text


def test_the_keys_of_entra_are_those_of_the_directory() -> None:
    (keys,) = key_sets({"webhooks/entra/acme/directory_id": "aaaabbbb-0000-cccc-1111-dddd2222eeee"})
    directory = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
    assert keys.parameter == "webhooks/entra/acme/keys"
    assert keys.url == f"https://{directory}.ciamlogin.com/{directory}/discovery/v2.0/keys"
