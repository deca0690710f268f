"""The one file that names the project's modules: how its functions are started, addressed and looked at."""

import base64
import contextlib
import hashlib
import hmac
import importlib
import json
import os
import pkgutil
import queue
import random
import secrets
import smtplib
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml

import mailroom
from mailroom.aws import client as aws_client
from mailroom.aws import metrics
from mailroom.aws.dynamodb import decode_item, encode
from mailroom.ledger.hashes import keyed_hash
from mailroom.ledger.table import suppression_of
from mailroom.ledger.tally import EVERYONE, hour_of
from mailroom.model.kinds import Lane
from mailroom.model.mailbox import canonical
from mailroom.rendering.renderer import Renderer
from tests.simulation.accounts import Account, SmtpConnection, Transport
from tests.simulation.aws import Network
from tests.simulation.endpoints import CALLBACK_TENANTS, Endpoints
from tests.simulation.scheduler import Lock, Pool, Scheduler, SimpleQueue, Substitute, Thread, current_process

__all__ = [
    "AWS_TIMEOUT",
    "FINAL",
    "Logger",
    "feedback_event",
    "habits",
    "handler",
    "messages_in",
    "outcomes_in",
    "rendered_event",
    "row_of",
    "settings",
    "substituted",
    "suppress",
    "template",
    "webhook_event",
]

ROOT = Path(__file__).parents[2]
AWS_TIMEOUT = aws_client.TIMEOUT_SECONDS
FINAL = frozenset({"sent", "delivered", "bounced", "complained", "skipped", "failed", "unknown"})
ENVIRONMENT = "development"
STACK = "mailroom-development"
TABLE = f"{STACK}-ledger"
ADDRESS_KEY = "a" * 64
CALLBACK_KEY = base64.b64encode(b"simulated key of a callback").decode()
SVIX_KEY = b"simulated signing key"
POSTMARK_SECRET = "simulated-postmark-secret"
LOGTO_TOKEN = "Bearer simulated-logto-token"
SES_EVENTS = {
    "delivered": ("Delivery", "delivery"),
    "deferred": ("DeliveryDelay", "deliveryDelay"),
    "bounced": ("Bounce", "bounce"),
    "soft": ("Bounce", "bounce"),
    "complained": ("Complaint", "complaint"),
}
RENDERED_TOKEN = "Bearer simulated-rendered-token"


# ---- configuration ----


@cache
def template() -> Mapping[str, Any]:
    """Return template.yaml, with CloudFormation's tags as plain values."""

    class Loader(yaml.SafeLoader):
        pass

    def plain(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
        match node:
            case yaml.ScalarNode():
                return loader.construct_scalar(node)
            case yaml.SequenceNode():
                return loader.construct_sequence(node, deep=True)
            case yaml.MappingNode():
                return loader.construct_mapping(node, deep=True)

    Loader.add_multi_constructor("!", plain)
    loaded: Mapping[str, Any] = yaml.load((ROOT / "template.yaml").read_text("utf-8"), Loader)  # noqa: S506
    return loaded


def settings(senders: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the parameters of an environment with these senders, by tenant."""
    values = {
        "ledger/address_key": ADDRESS_KEY,
        "webhooks/logto/authorization": LOGTO_TOKEN,
        "webhooks/rendered/secret": RENDERED_TOKEN,
        "providers/resend/api_key": "key-resend",
        "providers/resend.acme/api_key": "key-resend.acme",
        "providers/ses/region": "eu-west-1",
        "providers/smtp/host": "smtp.example.com",
        "providers/smtp/tls": "none",
        "providers/smtp.slow/host": "smtp.slow.example.com",
        "providers/smtp.slow/tls": "none",
        "providers/postmark/server_token": "key-postmark",
        "providers/sendgrid/api_key": "key-sendgrid",
        "feedback/resend/secret": f"whsec_{base64.b64encode(SVIX_KEY).decode()}",
        "feedback/postmark/secret": POSTMARK_SECRET,
    }
    for tenant, sender in senders.items():
        values[f"senders/{tenant}/auth"] = json.dumps({"from": f"Login <login@{tenant}.example.com>", **sender})
        if tenant != "default":
            values[f"webhooks/logto/{tenant}/authorization"] = LOGTO_TOKEN
            values[f"webhooks/rendered/{tenant}/secret"] = RENDERED_TOKEN
    for tenant in CALLBACK_TENANTS:
        callback = {"url": f"https://{tenant}.example.com/outcomes", "secrets": [f"whsec_{CALLBACK_KEY}"]}
        values[f"callbacks/{tenant}"] = json.dumps(callback)
    return {f"/mailroom/{ENVIRONMENT}/{name}": value for name, value in values.items()}


@cache
def _templates() -> Path:
    """Return our templates, with a tenant `broken` whose own texts cannot be filled in."""
    folder = Path(mkdtemp(prefix="simulation-templates-"))
    for path in (ROOT / "layers" / "templates").iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "tenants" / "broken").mkdir(parents=True)
    (folder / "tenants" / "broken" / "texts.toml").write_text('[sign-in-code]\nsubject = "Your code {payload.}"\n')
    return folder


@cache
def _environment() -> dict[str, str]:
    queues = {
        f"{name.upper()}{dead}_QUEUE_URL": f"https://sqs.eu-west-1.amazonaws.com/123456789012/{STACK}-{name}{suffix}"
        for name in (*Lane, "outcomes")
        for dead, suffix in (("", ""), ("_DEAD_LETTER", "-dead-letters"))
    }
    return {
        **queues,
        "TABLE_NAME": TABLE,
        "TEMPLATES_DIR": str(_templates()),
        "CODE_LIFETIME_MINUTES": "10",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        "AWS_LAMBDA_FUNCTION_NAME": "simulated",
        "POWERTOOLS_METRICS_NAMESPACE": STACK,
        "POWERTOOLS_SERVICE_NAME": "simulated",
        "ALLOWED_SOURCE_CIDRS": "",
    }


# ---- substitutes for what the standard library and the clients do ----


class Logger:
    """In place of Powertools' logger: keeps each line, as text, where somebody looks at them."""

    lines: list[str] | None = None

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def info(self, message: Any, *arguments: Any, **named: Any) -> None:
        if Logger.lines is not None:
            Logger.lines.append(f"{message} {arguments} {named}")

    debug = warning = error = exception = critical = info

    def inject_lambda_context(self, function: Any = None, **_: Any) -> Any:
        return function or (lambda inner: inner)

    def append_keys(self, *_: Any, **__: Any) -> None:
        pass

    append_context_keys = set_correlation_id = remove_keys = clear_state = append_keys


class Metrics:
    """In place of our metrics, which nobody looks at here."""

    def log_metrics(self, function: Any) -> Any:
        return function

    def count(self, *_: Any, **__: Any) -> None:
        pass

    add_duration = count


def _clock(scheduler: Scheduler) -> types.SimpleNamespace:
    named = {
        name: getattr(time, name) for name in ("gmtime", "strftime", "strptime", "mktime", "localtime", "timezone")
    }
    return types.SimpleNamespace(
        **named,
        time=lambda: scheduler.now,
        time_ns=lambda: int(scheduler.now * 1e9),
        monotonic=lambda: scheduler.now,
        perf_counter=lambda: scheduler.now,
        sleep=scheduler.sleep,
    )


@cache
def _modules() -> tuple[types.ModuleType, ...]:
    """Import every module of the package, so that none is loaded later and escapes the substitution."""
    found = [importlib.import_module(info.name) for info in pkgutil.walk_packages(mailroom.__path__, "mailroom.")]
    return tuple(found)


@cache
def _places(originals: frozenset[int]) -> tuple[tuple[Any, str, int], ...]:
    """Return where the package refers to one of the originals: globals of modules, and defaults of functions."""
    places: list[tuple[Any, str, int]] = []
    for module in _modules():
        for name, value in vars(module).items():
            if id(value) in originals:
                places.append((module, name, id(value)))
            if isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
                places += _defaults(value, originals)
            if isinstance(value, type) and value.__module__ == module.__name__:
                for inner in vars(value).values():
                    function = inner.__func__ if isinstance(inner, classmethod | staticmethod) else inner
                    if isinstance(function, types.FunctionType):
                        places += _defaults(function, originals)
    return tuple(places)


def _defaults(function: types.FunctionType, originals: frozenset[int]) -> list[tuple[Any, str, int]]:
    return [(function, "__defaults__", 0)] if any(id(v) in originals for v in function.__defaults__ or ()) else []


@contextlib.contextmanager
def substituted(
    scheduler: Scheduler, accounts: Mapping[str, Account], endpoints: Endpoints, providers: str
) -> Iterator[None]:
    """Give the package virtual time, seeded chance, and the models of its surroundings."""
    clock, chance = _clock(scheduler), scheduler.random
    process = current_process

    def token_hex(count: int = 32) -> str:
        return chance.randbytes(count).hex()

    smtp = types.SimpleNamespace(**vars(smtplib))
    smtp.SMTP = smtp.SMTP_SSL = SmtpConnection
    SmtpConnection.accounts = {
        "smtp.example.com": accounts["smtp"],
        "smtp.slow.example.com": accounts["smtp.slow"],
    }
    SmtpConnection.process = staticmethod(process)
    Substitute.scheduler = scheduler
    transport = Transport(accounts, process)

    powertools = importlib.import_module("aws_lambda_powertools")
    client = importlib.import_module("mailroom.providers._client")
    endpoint = importlib.import_module("mailroom.callbacks.endpoint")
    fakes: dict[int, Any] = {
        id(time): clock,
        id(time.time): clock.time,
        id(time.sleep): clock.sleep,
        id(time.monotonic): clock.monotonic,
        id(secrets): types.SimpleNamespace(
            token_hex=token_hex,
            token_bytes=chance.randbytes,
            token_urlsafe=token_hex,
            compare_digest=hmac.compare_digest,
        ),
        id(random): chance,
        id(random.random): chance.random,
        id(ThreadPoolExecutor): Pool,
        id(threading.Thread): Thread,
        id(threading.RLock): Lock,
        id(queue.SimpleQueue): SimpleQueue,
        id(smtplib): smtp,
        id(Renderer): lambda folder: _renderer(folder),
        id(client.shared): lambda endpoint: transport,
        id(endpoint.transport): lambda: endpoints,
        id(powertools.Logger): Logger,
    }
    undo: list[tuple[Any, str, Any]] = []
    for owner, name, original in _places(frozenset(fakes)):
        undo.append((owner, name, getattr(owner, name)))
        if name == "__defaults__":
            setattr(owner, name, tuple(fakes.get(id(value), value) for value in owner.__defaults__))
        else:
            setattr(owner, name, fakes[original])
    environment = {**_environment(), "ENVIRONMENT": ENVIRONMENT, "PROVIDERS": providers}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    _state.update(fakes=fakes)
    try:
        yield
    finally:
        for owner, name, value in undo:
            setattr(owner, name, value)
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


_state: dict[str, Any] = {}


@cache
def _renderer(folder: Path) -> Renderer:
    """Return one renderer for all processes: it keeps nothing but files it has read."""
    return Renderer(folder)


class SimulatedAws(aws_client.Aws):
    """The real client with its retries, over the simulated network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def _post(self, service: str, operation: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        return self._network.post(service, operation, payload)


@cache
def _code(name: str) -> types.CodeType:
    path = ROOT / "functions" / name / "app.py"
    return compile(path.read_text("utf-8"), str(path), "exec")


def handler(name: str, network: Network) -> Callable[[Any, Any], Any]:
    """Return the handler of a new process of a function: its module is executed anew."""
    aws = SimulatedAws(network)
    module = types.ModuleType(f"app_{name}")
    module.__file__ = _code(name).co_filename
    original = aws_client.Aws.from_env
    aws_client.Aws.from_env = classmethod(lambda cls: aws)  # type: ignore[method-assign, assignment]
    powertools: Any = sys.modules["aws_lambda_powertools"]
    real = powertools.Logger, metrics.Metrics
    powertools.Logger, metrics.Metrics = Logger, Metrics  # type: ignore[misc, assignment]
    try:
        exec(_code(name), module.__dict__)  # noqa: S102
    finally:
        aws_client.Aws.from_env = original  # type: ignore[method-assign]
        powertools.Logger, metrics.Metrics = real  # type: ignore[misc]
    for variable, value in list(vars(module).items()):
        if id(value) in _state["fakes"]:
            setattr(module, variable, _state["fakes"][id(value)])
    found: Callable[[Any, Any], Any] = module.handler
    return found


# ---- events in ----


def http_event(route: str, path: Mapping[str, str], headers: Mapping[str, str], body: bytes, now: float) -> Any:
    return {
        "version": "2.0",
        "routeKey": route,
        "pathParameters": dict(path),
        "headers": dict(headers),
        "requestContext": {
            "http": {"method": "POST", "sourceIp": "192.0.2.1"},
            "timeEpoch": int(now * 1000),
            "requestId": "simulated",
        },
        "body": body.decode(),
        "isBase64Encoded": False,
    }


def webhook_event(tenant: str, body: Mapping[str, Any], now: float) -> Any:
    """Return what API Gateway hands over when Logto asks for a mail."""
    path = {} if tenant == "default" else {"tenant": tenant}
    headers = {"content-type": "application/json", "authorization": LOGTO_TOKEN}
    return http_event("ANY /webhooks/logto", path, headers, json.dumps(body).encode(), now)


def rendered_event(tenant: str, body: Mapping[str, Any], now: float) -> Any:
    """Return what API Gateway hands over when an auth server asks for a mail that it has rendered."""
    path = {} if tenant == "default" else {"tenant": tenant}
    headers = {"content-type": "application/json", "authorization": RENDERED_TOKEN}
    return http_event("ANY /webhooks/rendered", path, headers, json.dumps(body).encode(), now)


def feedback_event(kind: str, what: str, message_id: str, provider_id: str, to: str, mark: str, now: float) -> Any:
    """Return what a provider of this kind posts about a mail; None if it reports nothing here."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    match kind:
        case "resend":
            data: dict[str, Any] = {"email_id": provider_id, "to": [to], "tags": {"message_id": message_id}}
            if what == "bounced":
                data["bounce"] = {"type": "Permanent", "subType": "NoEmail", "diagnosticCode": ["550 5.1.1 x"]}
            elif what == "soft":
                data["bounce"] = {"type": "Transient", "subType": "General", "diagnosticCode": ["451 4.7.1 x"]}
            name = {"deferred": "delivery_delayed", "soft": "bounced"}.get(what, what)
            body = json.dumps({"type": f"email.{name}", "created_at": moment, "data": data}).encode()
            timestamp = str(int(now))
            digest = hmac.digest(SVIX_KEY, f"{mark}.{timestamp}.".encode() + body, hashlib.sha256)
            signature = base64.b64encode(digest).decode()
            headers = {"svix-id": mark, "svix-timestamp": timestamp, "svix-signature": f"v1,{signature}"}
            path = {"provider": "resend"}
        case "postmark":
            record = {"delivered": "Delivery", "bounced": "Bounce", "complained": "SpamComplaint"}.get(what)
            if record is None:
                return None
            names = {"delivered": ("Recipient", "DeliveredAt")}.get(what, ("Email", "BouncedAt"))
            fields = {"RecordType": record, "MessageID": provider_id, names[0]: to, names[1]: f"{moment} {mark}"}
            if what == "bounced":
                fields["Type"] = "HardBounce"
            body = json.dumps({**fields, "Metadata": {"message_id": message_id}}).encode()
            headers, path = {"x-mailroom-secret": POSTMARK_SECRET}, {"provider": "postmark"}
        case "ses":
            name = SES_EVENTS[what][0]
            effect: dict[str, Any] = {"timestamp": moment, "feedbackId": mark}
            if what == "bounced":
                effect |= {"bounceType": "Permanent", "bounceSubType": "NoEmail"}
            elif what == "soft":
                bounced = [{"emailAddress": to, "diagnosticCode": "smtp; 451 4.7.1 x"}]
                effect |= {"bounceType": "Transient", "bounceSubType": "General", "bouncedRecipients": bounced}
            mail = {"messageId": provider_id, "destination": [to], "tags": {"message_id": [message_id]}}
            part = SES_EVENTS[what][1]
            return {"source": "aws.ses", "detail": {"eventType": name, "mail": mail, part: effect}}
        case _:
            return None
    headers["content-type"] = "application/json"
    return http_event("ANY /feedback/{provider}", path, headers, body, now)


# ---- what was left behind ----


def row_of(items: Mapping[str, Any], message_id: str) -> dict[str, Any] | None:
    """Return the ledger's row of a message."""
    item = items.get(f"message#{message_id}")
    return None if item is None else decode_item(item)


def outcomes_in(row: Mapping[str, Any]) -> list[str]:
    """Return the final outcomes that our own code has written into a row's timeline."""
    return [str(entry["status"]) for entry in row["timeline"] if "status" in entry]


def messages_in(body: str) -> list[str]:
    """Return the ids of the messages in the body of a queued message."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            message = value.get("message")
            if isinstance(message, dict) and "id" in message:
                found.append(message["id"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(json.loads(body))
    return found


def habits(reported: Mapping[tuple[str, str], tuple[int, int]], now: float) -> dict[str, dict[str, Any]]:
    """Return the tally of an hour with a hundred mails to each group of domains.

    `reported` is how many of them an account has reported as delivered, and within how many seconds.
    """
    counts = {f"sent@{group}/{account}": 100 for account, group in reported}
    counts |= {f"delivered<{limit}@{group}/{account}": n for (account, group), (n, limit) in reported.items()}
    pk = f"tally#{EVERYONE}#{hour_of(now - 3600.0)}#0"
    return {pk: {name: encode(value) for name, value in {"pk": pk, **counts}.items()}}


def suppress(tenant: str, address: str, now: float) -> tuple[str, dict[str, Any]]:
    """Return key and item of a suppressed recipient."""
    pk = suppression_of(tenant, keyed_hash(ADDRESS_KEY, canonical(address)))
    values = {"pk": pk, "tenant": tenant, "address": address, "cause": "manual", "source": "test", "since": now}
    until = {f"{lane}_until": now + 86_400.0 * 30 for lane in Lane}
    return pk, {name: encode(value) for name, value in {**values, **until}.items()}
