"""Amazon Cognito's CustomEmailSender: recorded events and ciphertexts, to the real function with moto's KMS."""

import base64
import json
import os
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.kms.models import kms_backends

from functions.cognito.app import build
from mailroom.aws.client import Aws
from mailroom.aws.encryption import Decryptor
from mailroom.errors import ConfigurationError, RequestError, TemporaryFailure
from mailroom.model.message import Message
from mailroom_ops.sandbox.server import Sandbox
from tests.cloud import put, waiting
from tests.delivery.process import Process
from tests.lambda_function import Context, LambdaFunction

ACCOUNT, REGION = "123456789012", "eu-west-1"
KINDS = {
    "SignUp": "sign-up-code",
    "ResendCode": "sign-up-code",
    "ForgotPassword": "password-reset",
    "UpdateUserAttribute": "email-confirmation",
    "VerifyUserAttribute": "email-confirmation",
    "Authentication": "sign-in-code",
    "AdminCreateUser": "organization-invitation",
    "AccountTakeOverNotification": "security-notice",
}


class Cognito:
    """One process of the function, with the key of the recordings in KMS."""

    def __init__(self, aws: Aws, key: dict[str, Any]) -> None:
        self.aws = aws
        decryptor = Decryptor(key["key_arn"])
        self.function = LambdaFunction(lambda logger, metrics: build(aws, decryptor.decrypt, logger, metrics), aws)

    def invoke(self, event: Any, request_id: str = "") -> Any:
        context = Context()
        context.aws_request_id = request_id or str(uuid.uuid4())
        return self.function._handler(event, context)

    def messages(self) -> list[Message]:
        return [parcel.message for queue in ("codes", "notices") for parcel in waiting(self.aws, queue)]


@pytest.fixture
def recorded(contracts: Path) -> dict[str, Any]:
    """The recorded events, by file name."""
    folder = contracts / "auth-servers" / "cognito" / "events"
    return {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}


@pytest.fixture
def key(recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The key of the recordings, in a KMS of this process."""
    found: dict[str, Any] = recorded["SignUp"]["key"]
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"https://kms.{REGION}.amazonaws.com")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        keys = kms_backends[ACCOUNT][REGION]
        made = keys.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", None)
        del keys.keys[made.id]
        made.id, made.arn = found["key_arn"].rpartition("/")[2], found["key_arn"]
        made.key_material = base64.b64decode(found["moto_key_material_base64"])
        keys.keys[made.id] = made
        yield found


@pytest.fixture
def cognito(aws: Aws, environment: pytest.MonkeyPatch, key: dict[str, Any]) -> Cognito:
    environment.setenv("TENANT", "default")
    return Cognito(aws, key)


def test_every_recorded_event_becomes_a_mail_with_its_code(cognito: Cognito, recorded: dict[str, Any]) -> None:
    assert {name.partition(".")[0] for name in recorded} == {*KINDS, "powertools-sample"}
    for name, sample in recorded.items():
        if name == "powertools-sample":
            continue
        cognito.invoke(sample["event"], name)
        expected, kind = sample["expect"], KINDS[name.partition(".")[0]]
        (message,) = [m for m in cognito.messages() if name in m.identity.split("\n")]
        assert (message.kind, message.to) == (kind, expected["to"]), name
        assert message.data["code"] == expected["code"], name
        if "locale_candidates" in expected:
            assert list(message.locales) == expected["locale_candidates"], name


def test_a_temporary_password_is_as_the_user_types_it(cognito: Cognito, recorded: dict[str, Any]) -> None:
    cognito.invoke(recorded["AdminCreateUser"]["event"])
    (message,) = cognito.messages()
    assert message.data["code"] == "A1b2-C3d4!x<&>"
    assert message.expires_at - message.created_at == 7 * 86_400


def test_the_lambda_request_id_identifies_the_mail(cognito: Cognito, recorded: dict[str, Any]) -> None:
    for _ in range(2):
        cognito.invoke(recorded["SignUp"]["event"], "request 1")
    cognito.invoke(recorded["SignUp"]["event"], "request 2")
    first, again, other = sorted(cognito.messages(), key=lambda message: message.identity)
    assert first.identity == again.identity != other.identity
    assert first.identity_seconds == 86_400


def test_a_repeated_event_is_one_mail(cognito: Cognito, recorded: dict[str, Any], sandbox: Sandbox, aws: Aws) -> None:
    for name, value in sandbox.settings("resend").items():
        put(aws, f"providers/resend/{name}", value)
    put(aws, "senders/default/auth", '{"from": "Acme <no-reply@example.com>"}')
    for _ in range(2):
        cognito.invoke(recorded["SignUp"]["event"], "request 1")
    for parcel in waiting(aws, "codes"):
        Process(aws).receive(parcel)
    (mail,) = sandbox.inbox.all()
    assert "123456" in mail.text
    assert mail.locale == "de"


def test_every_ciphertext_of_the_key_is_decrypted(contracts: Path, key: dict[str, Any]) -> None:
    path = contracts / "auth-servers" / "cognito" / "encryption-vectors.json"
    vectors = [v for v in json.loads(path.read_text("utf-8"))["vectors"] if v["keyring"]["type"].startswith("KMS")]
    assert {vector["algorithm"] for vector in vectors} == {"0x0378", "0x0578"}
    decryptor = Decryptor(key["key_arn"])
    for vector in vectors:
        decrypted = decryptor.decrypt(vector["ciphertext_base64"])
        assert decrypted.text == vector["plaintext"], vector["id"]
        assert vector["encryption_context"].items() <= decrypted.context.items()


def changed(ciphertext: str, position: int) -> str:
    data = bytearray(base64.b64decode(ciphertext))
    data[position] ^= 1
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("position", [-1, -20, 30, 300, 2])
def test_a_changed_ciphertext_is_refused(cognito: Cognito, recorded: dict[str, Any], position: int) -> None:
    event = recorded["SignUp"]["event"]
    request = event["request"] | {"code": changed(event["request"]["code"], position)}
    with pytest.raises((RequestError, ConfigurationError)):
        cognito.invoke(event | {"request": request})
    assert cognito.messages() == []


@pytest.mark.parametrize("code", ["someCode", "", None, 7, "AYAD", "A" * 4000])
def test_what_is_no_ciphertext_is_refused(cognito: Cognito, recorded: dict[str, Any], code: Any) -> None:
    event = recorded["SignUp"]["event"]
    with pytest.raises(RequestError):
        cognito.invoke(event | {"request": event["request"] | {"code": code}})


def test_a_code_of_another_user_pool_is_refused(cognito: Cognito, recorded: dict[str, Any]) -> None:
    event = recorded["AdminCreateUser"]["event"]
    with pytest.raises(RequestError, match="another user pool"):
        cognito.invoke(event | {"userPoolId": "eu-west-1_OTHER"})


def test_a_code_of_another_key_is_an_error_of_the_settings(aws: Aws, cognito: Cognito, recorded: Any) -> None:
    other = Cognito(aws, {"key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{uuid.uuid4()}"})
    with pytest.raises(ConfigurationError, match="does not decrypt it"):
        other.invoke(recorded["SignUp"]["event"])


@pytest.mark.parametrize(
    "changes",
    [
        {"triggerSource": "PreSignUp_SignUp"},
        {"triggerSource": "CustomEmailSender_Unknown"},
        {"triggerSource": None},
        {"request": None},
        {"request": {"userAttributes": {"email": "ada@example.com"}}},
    ],
)
def test_an_event_of_another_form_is_refused(cognito: Cognito, recorded: dict[str, Any], changes: Any) -> None:
    with pytest.raises(RequestError):
        cognito.invoke(recorded["SignUp"]["event"] | changes)
    assert len(cognito.function.logged("Refused")) == 1


def test_a_user_without_an_address_is_refused(cognito: Cognito, recorded: dict[str, Any]) -> None:
    event = recorded["SignUp"]["event"]
    attributes = {name: value for name, value in event["request"]["userAttributes"].items() if name != "email"}
    with pytest.raises(RequestError, match="recipient"):
        cognito.invoke(event | {"request": event["request"] | {"userAttributes": attributes}})
    with pytest.raises(RequestError):
        cognito.invoke(recorded["powertools-sample"]["event"])


def test_while_the_queue_is_away_lambda_has_to_repeat_the_event(
    cognito: Cognito, recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cognito.aws, "call", partial(_fail, TemporaryFailure("sqs", "away")))
    with pytest.raises(TemporaryFailure):
        cognito.invoke(recorded["SignUp"]["event"])


def _fail(error: Exception, *_: Any, **__: Any) -> Any:
    raise error


def test_no_code_and_no_address_is_in_the_log(cognito: Cognito, recorded: dict[str, Any]) -> None:
    cognito.invoke(recorded["SignUp"]["event"])
    log = cognito.function.log.getvalue()
    assert '123456"' not in log
    assert "ada@example.com" not in log
    assert os.environ["TENANT"] in log
