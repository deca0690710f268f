"""The services of functions and commands: an AWS endpoint on loopback, emptied for each test, and the providers.

moto has its own process, one per run, so that it takes no time from the tests.
"""

import atexit
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mailroom.aws.client import Aws
from mailroom.model.message import Parcel
from mailroom_ops.cloudformation import loader
from mailroom_ops.local import bytecode
from mailroom_ops.sandbox.server import Sandbox

__all__ = ["LEDGER", "REGION", "aws", "cloud", "environment", "moto_url", "operations", "put", "sandbox", "waiting"]

ROOT = Path(__file__).parent.parent
OPS = ROOT / "ops"
REGION = "eu-west-1"
QUEUES = ("CODES", "NOTICES", "CODES_DEAD_LETTER", "NOTICES_DEAD_LETTER")
TABLE = loader.load(ROOT / "template.yaml")["Resources"]["LedgerTable"]["Properties"]
TABLE_PROPERTIES = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
LEDGER = {"TableName": "ledger", **{name: TABLE[name] for name in TABLE_PROPERTIES}}

# It ends when its standard input does: no process is left behind, however the run ends.
SERVER = """
import sys
import moto.sesv2.urls  # else its first request waits for it
from mailroom_ops.sandbox import moto_server
print(moto_server.start(), flush=True)
sys.stdin.read()
"""


@cache
def moto_url() -> str:
    if url := os.environ.get("MAILROOM_MOTO_URL"):  # of a run that has started it
        return url
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **bytecode.VARIABLE, "PYTHONPATH": str(OPS)},
    )
    assert process.stdin
    assert process.stdout
    atexit.register(process.wait)
    atexit.register(process.stdin.close)  # runs before the wait
    url = process.stdout.readline().strip()
    for service, target in (("ssm", "AmazonSSM.DescribeParameters"), ("dynamodb", "DynamoDB_20120810.ListTables")):
        # moto loads a service at its first call: on a busy machine that takes longer than our own client waits.
        credential = f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request"
        headers = {
            "x-amz-target": target,
            "content-type": "application/x-amz-json-1.1",
            "authorization": f"{credential}, SignedHeaders=host, Signature=none",
        }
        urllib.request.urlopen(urllib.request.Request(url, b"{}", headers), timeout=60).close()
    return url


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty AWS, which boto3 takes for the real one."""
    url = moto_url()
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("MAILROOM_ENV", "MAILROOM_STACK", "MAILROOM_URL", "PORT"):
        monkeypatch.delenv(name, raising=False)
    return url


@pytest.fixture
def aws(cloud: str) -> Iterator[Aws]:
    """The package's own client for it."""
    with closing(Aws(REGION, cloud)) as client:
        yield client


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Every provider's other side."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def environment(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """All that deliver and send find around themselves; what a test sets afterwards wins."""
    variables = {
        "ENVIRONMENT": "development",
        "PROVIDERS": "resend",
        "TABLE_NAME": "ledger",
        "TEMPLATES_DIR": str(ROOT / "layers" / "templates"),
        "CODE_LIFETIME_MINUTES": "10",
        "RECORD_CODE_ON_FAILURE": "false",
        "POWERTOOLS_METRICS_NAMESPACE": "Mailroom",
    }
    for name in QUEUES:
        variables[f"{name}_QUEUE_URL"] = aws.call("sqs", "CreateQueue", {"QueueName": name.lower()})["QueueUrl"]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    aws.call("dynamodb", "CreateTable", LEDGER)
    return monkeypatch


def operations(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the name of each operation from now on."""
    calls: list[str] = []
    call = aws.call

    def recorded(service: str, operation: str, payload: Any, **options: Any) -> Any:
        calls.append(operation)
        return call(service, operation, payload, **options)

    monkeypatch.setattr(aws, "call", recorded)
    return calls


def put(aws: Aws, name: str, value: object, environment: str = "development") -> None:
    """Write a setting; what is no text as JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    parameter = {"Name": f"/mailroom/{environment}/{name}", "Value": text, "Type": "SecureString", "Overwrite": True}
    aws.call("ssm", "PutParameter", parameter)


def waiting(aws: Aws, queue: str) -> list[Parcel]:
    """Return the parcels on a queue, also delayed ones."""
    url = aws.call("sqs", "GetQueueUrl", {"QueueName": queue})["QueueUrl"]
    counts = aws.call("sqs", "GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})["Attributes"]
    expected = int(counts["ApproximateNumberOfMessages"]) + int(counts["ApproximateNumberOfMessagesDelayed"])
    parcels: list[Parcel] = []
    while len(parcels) < expected:
        answer = aws.call("sqs", "ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 1})
        parcels += [Parcel.from_json(message["Body"]) for message in answer.get("Messages", [])]
    return parcels
