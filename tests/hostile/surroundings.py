"""The surroundings of the functions, in memory: AWS, and a provider that accepts each mail."""

import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import httpx
import yaml

from mailroom.aws.client import Aws
from mailroom.ledger.table import Ledger
from mailroom.providers import _client
from mailroom_ops.sandbox import reports
from tests.cloud import LEDGER, REGION, ROOT
from tests.factories import message, sent
from tests.simulation.dynamodb import Table
from tests.simulation.ssm import Parameters
from tests.transports import Answering

__all__ = [
    "ADDRESS_KEY",
    "API_KEY",
    "KRATOS_SECRET",
    "LOGTO_TOKEN",
    "SENT_IDS",
    "SUPABASE_KEY",
    "MemoryAws",
    "surroundings",
]

ADDRESS_KEY = "a" * 64
API_KEY = "canary-api-key"
LOGTO_TOKEN = "Bearer canary-logto-token"
KRATOS_SECRET, SUPABASE_KEY = "canary-kratos-secret", b"canary signing key of Supabase"
LOCAL = yaml.safe_load((ROOT / "ops/mailroom_ops/local/secrets.yaml").read_text("utf-8"))  # with public keys
SENT_IDS = tuple(f"{number:032x}" for number in range(1, 21))  # of mails that reports may be about
VARIABLES = {
    "ENVIRONMENT": "development",
    "PROVIDERS": "resend",
    "TABLE_NAME": "ledger",
    "TEMPLATES_DIR": str(ROOT / "layers" / "templates"),
    "CODE_LIFETIME_MINUTES": "10",
    "RECORD_CODE_ON_FAILURE": "false",
    "POWERTOOLS_METRICS_NAMESPACE": "Mailroom",
    **{
        f"{lane}{dead}_QUEUE_URL": f"https://sqs.example/{lane}{dead}".lower()
        for lane in ("CODES", "NOTICES")
        for dead in ("", "_DEAD_LETTER")
    },
}
SETTINGS = {
    "ledger/address_key": ADDRESS_KEY,
    "webhooks/logto/authorization": LOGTO_TOKEN,
    "webhooks/logto/acme/authorization": LOGTO_TOKEN,
    "webhooks/kratos/secret": KRATOS_SECRET,
    "webhooks/supabase/secret": f"v1,whsec_{base64.b64encode(SUPABASE_KEY).decode()}",
    **{
        name: value
        for name, value in LOCAL.items()
        if name.startswith(("webhooks/entra/", "webhooks/hanko/", "webhooks/neon/"))
    },
    **{
        f"webhooks/{name}/secret": f"{LOGTO_TOKEN}\nwhsec_{base64.b64encode(SUPABASE_KEY).decode()}"
        for name in ("rendered", "casdoor", "auth0")
    },
    **dict.fromkeys(
        ("webhooks/clerk/secret", "webhooks/standard/secret"), f"whsec_{base64.b64encode(SUPABASE_KEY).decode()}"
    ),
    "webhooks/zitadel/secret": f"X-Api-Key: {API_KEY}\n{KRATOS_SECRET}",
    "api/keys/hostile": API_KEY,
    "providers/resend/api_key": "canary-provider-key",
    "brands/acme": '{"link_page": "https://login.example.com/l", "link_hosts": "app.example.com"}',
    "senders/default/auth": '{"from": "Mailroom <no-reply@example.com>"}',
}


class MemoryAws(Aws):
    """The package's own client; the answers come from models in this process."""

    def __init__(self) -> None:
        super().__init__(REGION)
        indexes = {
            index["IndexName"]: tuple(key["AttributeName"] for key in index["KeySchema"])
            for index in LEDGER["GlobalSecondaryIndexes"]
        }
        self.table = Table("ledger", LEDGER["KeySchema"][0]["AttributeName"], indexes)
        values = SETTINGS | reports.settings()
        self.parameters = Parameters({f"/mailroom/development/{name}": value for name, value in values.items()})
        self.clear()

    def clear(self) -> None:
        """Forget all messages but those that reports are about."""
        self.table.items.clear()
        ledger = Ledger(self, "ledger")
        for message_id in SENT_IDS:
            sent(ledger, message(id=message_id), "resend", f"provider id {message_id}", ADDRESS_KEY)

    def _post(self, service: str, operation: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if service == "sqs":
            return 200, {"MessageId": "queued"}
        return (self.table if service == "dynamodb" else self.parameters).request(operation, payload)


def _accept(request: httpx.Request) -> httpx.Response:
    body = json.loads(request.content)
    ids = [{"id": f"accepted {number}"} for number in range(len(body))] if isinstance(body, list) else []
    return httpx.Response(200, json={"data": ids} if ids else {"id": "accepted"})


@contextmanager
def surroundings(variables: Mapping[str, str] = {}) -> Iterator[MemoryAws]:
    """Set the environment of the functions, and stand in for AWS and the provider."""
    transport = Answering(_accept)
    with patch.dict(os.environ, {**VARIABLES, **variables}), patch.object(_client, "shared", lambda _: transport):
        yield MemoryAws()
