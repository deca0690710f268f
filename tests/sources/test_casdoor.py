"""Casdoor's Custom HTTP Email: its recorded requests to the real function."""

import json
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from tests.cloud import put
from tests.sources.rendered import Rendered, content_of

NOW = 1_795_660_591.0
HTML = "Your verification code is <b>123456</b> & expires in 5 minutes. Grüße, 日本語"


@pytest.fixture
def casdoor(aws: Aws, environment: pytest.MonkeyPatch) -> Rendered:
    put(aws, "webhooks/casdoor/secret", "Bearer test-casdoor-token")
    return Rendered(aws)


@pytest.fixture
def samples(contracts: Path) -> dict[str, Any]:
    folder = contracts / "auth-servers" / "casdoor" / "samples"
    return {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}


@pytest.mark.parametrize("name", ["form_post", "form_post_mapped"])
def test_its_form_becomes_one_mail_and_exactly_a_200(casdoor: Rendered, samples: dict[str, Any], name: str) -> None:
    answer = casdoor.replay("casdoor", samples[name], NOW)
    message = casdoor.message()
    assert (answer.status, answer.json["message_id"]) == (200, message.id)
    assert (message.source, message.kind, message.to, message.locales) == (
        "casdoor", "rendered", "ada@example.com", ("de",)
    )  # fmt: skip
    content = content_of(message)
    assert (content.subject, content.html) == ("Verification Code", HTML)
    assert content.text == "Your verification code is 123456 & expires in 5 minutes. Grüße, 日本語\n"


def test_two_recipients_get_a_mail_each(casdoor: Rendered, samples: dict[str, Any]) -> None:
    answer = casdoor.replay("casdoor", samples["form_post_two_recipients"], NOW)
    messages = casdoor.messages()
    assert answer.status == 200
    assert [message.to for message in messages] == ["ada@example.com", "grace@example.com"]
    assert {content_of(message).html for message in messages} == {HTML}


def test_its_json_is_refused_because_it_has_no_recipient(casdoor: Rendered, samples: dict[str, Any]) -> None:
    answer = casdoor.replay("casdoor", samples["json_post_without_recipient"], NOW)
    assert (answer.status, answer.body) == (422, "The field to is missing, or has more than 10 recipients.")


def test_a_code_in_a_url_is_refused(casdoor: Rendered, samples: dict[str, Any]) -> None:
    assert casdoor.replay("casdoor", samples["get_query"], NOW).status == 405


def test_text_without_tags_is_sent_as_text(casdoor: Rendered) -> None:
    headers = {"authorization": "Bearer test-casdoor-token", "content-type": "application/x-www-form-urlencoded"}
    form = "content=Code+123456%0AFive+minutes&subject=Code&toAddress=ada%40example.com"
    assert casdoor.post("casdoor", headers, form, NOW).status == 200
    message = casdoor.message()
    assert content_of(message).text == "Code 123456\nFive minutes"
    assert message.locales == ()


@pytest.mark.parametrize("token", ["", "Bearer wrong", "test-casdoor-token"])
def test_a_wrong_secret_is_a_401(casdoor: Rendered, samples: dict[str, Any], token: str) -> None:
    sample = samples["form_post"]["request"]
    headers = dict(sample["headers"]) | {"Authorization": token}
    assert casdoor.post("casdoor", headers, sample["body"], NOW).status == 401
    assert casdoor.messages() == []
