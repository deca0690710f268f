"""Signatures and endpoints of AWS, against botocore's."""

import calendar
import time
from collections.abc import Mapping

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.loaders import create_loader
from botocore.session import Session

from mailroom.network.http import Answer, Url
from mailroom.network.sigv4 import Credentials, CredentialsMissing, RoleCredentials, dns_suffix, sign

PATHS = ("/", "/v2/email/outbound-emails", "/vpc~endpoint/v2/email/outbound-emails")


HEADERS = {"host": "aws.example.com", "content-type": "application/x-amz-json-1.0"}
REQUESTS = [
    ("sqs", "/", HEADERS | {"x-amz-target": "AmazonSQS.SendMessage"}),
    *(("ses", path, HEADERS) for path in PATHS),
]


@pytest.mark.parametrize("token", ["", "session/token+with=signs"])
@pytest.mark.parametrize("body", [b"{}", '{"Name":"Zoë 🙂"}'.encode()], ids=["ascii", "unicode"])
@pytest.mark.parametrize(("service", "path", "headers"), REQUESTS)
def test_a_signature_is_the_one_botocore_makes(
    service: str, path: str, headers: Mapping[str, str], body: bytes, token: str
) -> None:
    theirs = AWSRequest("POST", f"https://{headers['host']}{path}", headers=dict(headers), data=body)
    SigV4Auth(BotocoreCredentials("AKID", "secret", token or None), service, "eu-west-1").add_auth(theirs)
    now = calendar.timegm(time.strptime(theirs.context["timestamp"], "%Y%m%dT%H%M%SZ"))

    ours = sign(headers, body, service, "eu-west-1", Credentials("AKID", "secret", token), now, path)

    assert ours["authorization"] == theirs.headers["Authorization"]


def test_the_domain_of_a_region_is_that_of_its_partition() -> None:
    session = Session()
    partitions = create_loader().load_data("endpoints")["partitions"]
    for partition in partitions:
        for region in session.get_available_regions("dynamodb", partition["partition"]):
            assert dns_suffix(region) == partition["dnsSuffix"], region
    assert sum(len(partition["regions"]) for partition in partitions) > 30


class Endpoint:
    """The endpoint of temporary credentials."""

    def __init__(self, status: int, content: bytes) -> None:
        self.answer = Answer(status, {}, content)
        self.requests = 0

    def request(self, method: str, url: Url, headers: Mapping[str, str], content: bytes = b"") -> Answer:
        self.requests += 1
        return self.answer


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9001/credentials")


@pytest.mark.usefixtures("container")
@pytest.mark.parametrize(("expires", "requests"), [("2999-01-01T00:00:00Z", 1), ("2001-01-01T00:00:00Z", 2)])
def test_temporary_credentials_are_read_again_once_they_expire(expires: str, requests: int) -> None:
    values = f'{{"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T", "Expiration": "{expires}"}}'
    endpoint = Endpoint(200, values.encode())
    credentials = RoleCredentials(endpoint)

    assert (credentials.current().key, credentials.current().token) == ("A", "T")
    assert endpoint.requests == requests


@pytest.mark.usefixtures("container")
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"Expiration": 3}', b"<html>"])
def test_an_endpoint_without_credentials_is_named(content: bytes) -> None:
    with pytest.raises(CredentialsMissing, match="403"):
        RoleCredentials(Endpoint(403, content)).current()


def test_an_environment_without_credentials_is_named() -> None:
    with pytest.raises(CredentialsMissing, match="AWS_ACCESS_KEY_ID"):
        RoleCredentials(Endpoint(200, b"")).current()
