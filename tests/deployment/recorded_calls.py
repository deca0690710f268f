"""Each call to AWS that the real handlers make: in simulated histories, and in events that those do not contain."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from functions.link import app as link
from mailroom.aws.encryption import Decrypted
from mailroom.model.email import Email
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Parcel
from mailroom.model.stored_files import pack
from mailroom.sources import registry
from tests import factories
from tests.simulation import accounts, aws, wiring
from tests.simulation.functions import Function
from tests.simulation.history import History, Mail, generate
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.scheduler import START, current_process
from tests.simulation.world import World, run

__all__ = ["Call", "recorded_calls"]

SEEDS = 20
TENANTS = 60  # more than one request reads of a tree, so that each parameter is read when it is first needed
ONE_RIGHT = {"SendMessageBatch": "SendMessage", "DeleteMessageBatch": "DeleteMessage"}


@dataclass(frozen=True, slots=True)
class Call:
    """One permission that a function used, on the resource as template.yaml names it; `keys` are of its table."""

    function: str
    action: str
    resource: str
    keys: tuple[str, ...] = ()


@cache
def recorded_calls() -> frozenset[Call]:
    """Return the calls of all scenarios, of some histories from seeds, and of the rare events."""
    calls: set[Call] = set()
    with _recording(calls):
        for history in (*SCENARIOS.values(), *map(generate, range(SEEDS))):
            run(history)
        # The address key is created by the function that needs it first.
        for mails in ((), (Mail(1, 0.0),), (Mail(1, 0.0, route="rendered"),)):
            _rare_events(mails).simulate()
        _mails_of_cognito()
        _link_pages()
    return frozenset(calls)


@contextmanager
def _recording(calls: set[Call]) -> Iterator[None]:
    post, request = aws.Network.post, accounts.Transport.request

    def record_aws(self: aws.Network, service: str, operation: str, payload: Mapping[str, Any]) -> Any:
        function = current_process().partition("-")[0]
        action = f"{service}:{ONE_RIGHT.get(operation, operation)}"
        for resource, keys in _resources(service, payload):
            calls.add(Call(function, action, resource, keys))
        return post(self, service, operation, payload)

    def record_ses(self: accounts.Transport, method: str, url: Any, headers: Any, content: bytes = b"") -> Any:
        if url.host.startswith("email."):
            sender = json.loads(content)["FromEmailAddress"]
            address = sender.rpartition("<")[2].rstrip(">")
            calls.add(Call(current_process().partition("-")[0], "ses:SendEmail", "identity", (address,)))
        return request(self, method, url, headers, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws.Network, "post", record_aws)
        patch.setattr(accounts.Transport, "request", record_ses)
        yield


def _resources(service: str, payload: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the resources of a call, and the partition keys that it reads or writes."""
    match service:
        case "ssm":
            prefix = f"/mailroom/{wiring.ENVIRONMENT}/"
            for name in payload.get("Names") or [payload.get("Path") or payload["Name"]]:
                yield name.removeprefix(prefix), ()
        case "sqs":
            name = payload["QueueUrl"].rpartition("/")[2].removeprefix(f"{wiring.STACK}-")
            yield f"{name.title().replace('-', '').replace('Letters', 'Letter')}Queue", ()
        case "dynamodb" if "RequestItems" in payload:
            (keys,) = (part["Keys"] for part in payload["RequestItems"].values())
            yield "LedgerTable", tuple(_kind_of(key) for key in keys)
        case "dynamodb" if "IndexName" in payload:
            yield f"LedgerTable/index/{payload['IndexName']}", ()
        case "dynamodb":
            yield "LedgerTable", (_kind_of(payload.get("Key") or payload["Item"]),)


def _kind_of(key: Mapping[str, Any]) -> str:
    return str(key["pk"]["S"]).partition("#")[0] + "#"


def _rare_events(mails: tuple[Mail, ...]) -> World:
    """Return a world with many tenants and accounts, no address key yet, callers over HTTP, and unsealed mails."""
    world = World(History("rare events", mails))
    values: dict[str, str] = world.network._services["ssm"].__self__.values  # type: ignore[attr-defined]
    prefix = f"/mailroom/{wiring.ENVIRONMENT}/"
    del values[f"{prefix}ledger/address_key"]
    values[f"{prefix}api/keys/billing"] = "key-of-a-caller"
    values[f"{prefix}brands/default"] = '{"stored_templates": true}'
    values[f"{prefix}templates/default"] = pack({})
    for number in range(TENANTS):
        values[f"{prefix}feedback/resend.t{number}/secret"] = "whsec_c2VjcmV0"
        for source in (*registry.NAMES, *registry.SEALED):
            for name in registry.load(source, (source,)).required:
                values[f"{prefix}webhooks/{source}/t{number}/{name}"] = "a-secret-of-the-tenant"
    body = json.dumps({"kind": "sign-in-code", "to": "reader@example.net", "data": {"code": "123456"}}).encode()
    headers = {"authorization": "Bearer key-of-a-caller", "content-type": "application/json"}
    send = wiring.http_event("POST /v1/emails", {}, headers, body, START)
    _at(world, 1.0, "send", send)
    for source in (*registry.NAMES, *registry.SEALED):
        function = "rendered" if source in registry.SEALED else "webhook"
        route = f"ANY /webhooks/{source}/{{tenant}}" if source in registry.SEALED else "ANY /webhooks/{source}/{tenant}"
        for tenant in (f"t{TENANTS - 1}", "unknown"):
            path = {"source": source, "tenant": tenant}
            _at(world, 2.0, function, wiring.http_event(route, path, headers, b"{}", START))
    path = {"provider": f"resend.t{TENANTS - 1}"}
    _at(world, 3.0, "feedback", wiring.http_event("ANY /feedback/{provider}", path, headers, b"{}", START))
    report = wiring.feedback_event("ses", "delivered", "", "id-of-the-provider", "reader@example.net", "mark", START)
    report["detail"]["mail"]["tags"] = {}
    _at(world, 4.0, "feedback", report)
    for lane, queue in world.queues.items():
        message = factories.message(
            kind="sign-in-code", data={"code": "123456"}, created_at=START, expires_at=START + 600
        )
        email = Email(Mailbox("login@example.com"), message.to, "Subject", "<p>Text</p>", "Text")
        parcel = replace(Parcel(message, email), lane=Lane(lane))
        world.scheduler.at(START + 5.0, queue.send, parcel.to_json())
    return world


def _at(world: World, seconds: float, function: str, event: Any) -> None:
    world.scheduler.at(START + seconds, lambda: world.functions[function].invoke(event, lambda answer: None))


def _link_pages() -> None:
    """Run the link function for a tenant of many, of whose brands a request reads only a part."""
    world = World(History("link", ()))
    values: dict[str, str] = world.network._services["ssm"].__self__.values  # type: ignore[attr-defined]
    for number in range(TENANTS):
        values[f"/mailroom/{wiring.ENVIRONMENT}/brands/t{number}"] = '{"link_page": "https://login.example.com/l"}'

    def build() -> Any:
        client, log = wiring.SimulatedAws(world.network), wiring.Logger()
        return link.build(client, log, wiring.Metrics())  # type: ignore[arg-type] # the simulation's own

    world.functions["link"] = Function("link", 10.0, world.scheduler, build)
    for tenant in (f"t{TENANTS - 1}", "unknown"):
        page = wiring.http_event("ANY /l/{tenant}", {"tenant": tenant}, {}, b"", START)
        page["requestContext"]["http"]["method"] = "GET"
        _at(world, 1.0, "link", page)
    world.simulate()


def _mails_of_cognito() -> None:
    """Run the cognito function for a code and a notice. Its ciphertexts are opened by AWS's library, not by ours."""
    world = World(History("cognito", ()))
    triggers = {"CustomEmailSender_ForgotPassword": 1.0, "CustomEmailSender_AccountTakeOverNotification": 2.0}
    source = (wiring.ROOT / "functions/cognito/app.py").read_text("utf-8")

    def build() -> Any:
        decrypted = Decrypted("123456", {"userpool-id": "eu-west-1_EXAMPLE01"})
        module: dict[str, Any] = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("AWS_LAMBDA_FUNCTION_NAME")
            patch.setenv("TENANT", "default")
            exec(compile(source, "cognito", "exec"), module)  # noqa: S102
            client, log = wiring.SimulatedAws(world.network), wiring.Logger()
            return module["build"](client, lambda text: decrypted, log, wiring.Metrics())

    world.functions["cognito"] = Function("cognito", 10.0, world.scheduler, build)
    for trigger, seconds in triggers.items():
        attributes = {"sub": "1", "email": "reader@example.net", "cognito:user_status": "CONFIRMED"}
        request = {"type": "customEmailSenderRequestV1", "code": "AYADeA==", "userAttributes": attributes}
        pool = {"userPoolId": "eu-west-1_EXAMPLE01", "userName": "1", "region": "eu-west-1", "version": "1"}
        _at(world, seconds, "cognito", {**pool, "triggerSource": trigger, "request": request, "callerContext": {}})
    world.simulate()
