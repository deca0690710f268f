"""A user pool of cognito-local, from npm, with the real function as its trigger: it accepts the codes of the mails."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import boto3
import pytest

from functions.cognito.app import build
from mailroom.aws.client import Aws
from mailroom.aws.encryption import Decryptor
from mailroom.model.message import Message
from mailroom_ops.web.server import Request, Response
from tests.cloud import REGION, waiting
from tests.lambda_function import LambdaFunction
from tests.serving import serving

HERE = Path(__file__).parent
START = HERE / "node_modules" / "cognito-local" / "lib" / "bin" / "start.js"
START_SECONDS = 60
PASSWORD = "Correct-horse-battery-1"

pytestmark = pytest.mark.skipif(
    which("node") is None or not START.is_file(),
    reason="needs node and its packages: install node, then `npm ci` in tests/cognito (`make test` does)",
)


class UserPool:
    """A user pool with a client, and the messages that its trigger has queued."""

    def __init__(self, client: Any, aws: Aws) -> None:
        self.client = client
        self._aws = aws
        self.id = client.create_user_pool(PoolName="acme", AutoVerifiedAttributes=["email"])["UserPool"]["Id"]
        made = client.create_user_pool_client(UserPoolId=self.id, ClientName="web")
        self.app = {"ClientId": made["UserPoolClient"]["ClientId"]}

    def sign_up(self, email: str) -> None:
        attributes = [{"Name": "email", "Value": email}]
        metadata = {"locale": "de"}
        self.client.sign_up(
            **self.app, Username=email, Password=PASSWORD, UserAttributes=attributes, ClientMetadata=metadata
        )

    def message(self, to: str, kind: str) -> Message:
        parcels = [*waiting(self._aws, "codes"), *waiting(self._aws, "notices")]
        (message,) = [p.message for p in parcels if (p.message.to, p.message.kind) == (to, kind)]
        return message


@pytest.fixture
def pool(aws: Aws, environment: pytest.MonkeyPatch, cloud: str, tmp_path: Path) -> Iterator[UserPool]:
    environment.setenv("TENANT", "default")
    kms = boto3.client("kms", REGION)
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/codes", TargetKeyId=arn)
    decrypt = Decryptor(arn).decrypt
    function = LambdaFunction(lambda logger, metrics: build(aws, decrypt, logger, metrics), aws)

    def invoke(request: Request) -> Response:
        return Response(200, json.dumps(function(json.loads(request.body))).encode())

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving(invoke) as trigger:
        credentials = {"credentials": {"accessKeyId": "test", "secretAccessKey": "test"}, "region": REGION}
        config = {
            "ServerConfig": {"hostname": "127.0.0.1", "port": port},
            "LambdaClient": {**credentials, "endpoint": f"http://127.0.0.1:{trigger}"},
            "TriggerFunctions": {"CustomEmailSender": "mailroom-cognito"},
            "KMSConfig": {**credentials, "endpoint": cloud, "KMSKeyId": arn, "KMSKeyAlias": arn},
        }
        (tmp_path / ".cognito").mkdir()
        (tmp_path / ".cognito" / "config.json").write_text(json.dumps(config))
        command = ["node", "--no-warnings", str(START)]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(port, process)
                yield UserPool(boto3.client("cognito-idp", REGION, endpoint_url=f"http://127.0.0.1:{port}"), aws)
            finally:
                process.terminate()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("cognito-local does not start")


def test_a_pool_accepts_the_codes_of_its_mails(pool: UserPool) -> None:
    pool.sign_up("ada@example.com")
    sign_up = pool.message("ada@example.com", "sign-up-code")
    assert sign_up.locales == ("de",)
    pool.client.confirm_sign_up(**pool.app, Username="ada@example.com", ConfirmationCode=sign_up.data["code"])

    pool.client.forgot_password(**pool.app, Username="ada@example.com")
    code = pool.message("ada@example.com", "password-reset").data["code"]
    pool.client.confirm_forgot_password(
        **pool.app, Username="ada@example.com", ConfirmationCode=code, Password=f"{PASSWORD}2"
    )


def test_an_invited_user_signs_in_with_the_password_of_the_mail(pool: UserPool) -> None:
    attributes = [{"Name": "email", "Value": "grace@example.com"}]
    pool.client.admin_create_user(
        UserPoolId=pool.id, Username="grace@example.com", UserAttributes=attributes, DesiredDeliveryMediums=["EMAIL"]
    )
    password = pool.message("grace@example.com", "organization-invitation").data["code"]
    answer = pool.client.initiate_auth(
        **pool.app,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "grace@example.com", "PASSWORD": password},
    )
    assert answer["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
